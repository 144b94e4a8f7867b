"""The ledger in memory, which tests of programs use."""

from collections.abc import Iterator

import pytest
from tests.tasks.ledger.contract import LedgerContract
from tests.tasks.ledger.ledgertools import HERE, THERE, new
from tests.tasks.ledger.placementcontract import PlacementContract

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_memory_ledger


class InMemory:
    """Has the fixtures of both contracts."""

    @pytest.fixture
    def where(self) -> str:
        pytest.skip("a ledger in memory is opened once, by one process")

    @pytest.fixture
    def ledger(self) -> Iterator[Ledger]:
        ledger = open_memory_ledger()
        ledger.beat(HERE, until=100.0)
        ledger.beat(THERE, until=100.0)
        yield ledger
        ledger.close()


class TestMemoryLedger(InMemory, LedgerContract):
    # There is one connection for one process, and there are few jobs.
    test_a_child_has_connections_of_its_own = None
    test_what_has_ended_is_not_looked_at = None

    def test_two_have_nothing_in_common(self, ledger: Ledger) -> None:
        """Each is a database of its own."""
        other = open_memory_ledger()
        ledger.write([new()])
        assert (len(ledger.list()), len(other.list())) == (1, 0)
        other.close()

    def test_a_closed_one_is_lost(self, ledger: Ledger) -> None:
        """What is asked of it afterwards is an error, and no empty answer."""
        ledger.close()
        with pytest.raises(LedgerError):
            ledger.list()


class TestMemoryPlacement(InMemory, PlacementContract):
    ROUNDS = 20

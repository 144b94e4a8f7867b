"""How many jobs may be accepted before it is counted again."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.ledger.ledgertools import new, queued

from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.queue_allowance import QueueAllowance


def test_nothing_is_accepted_before_it_was_counted() -> None:
    """And then a sixteenth of what was free, in any pieces."""
    allowance = QueueAllowance()
    assert not allowance.take("resize", 1)
    allowance.note("resize", waiting=40, limit=200)
    assert allowance.take("resize", 7)
    assert not allowance.take("resize", 4)
    assert allowance.take("resize", 3)
    assert not allowance.take("resize", 1)
    assert not allowance.take("other", 1)
    assert repr(allowance) == "<QueueAllowance {'resize': 0}>"


@given(st.integers(0, 500), st.lists(st.integers(1, 40)))
def test_one_process_never_exceeds_the_limit(limit: int, wanted: list[int]) -> None:
    """Whatever comes at a time: what is not counted had room."""
    allowance, waiting = QueueAllowance(), 0
    for count in wanted:
        if allowance.take("resize", count):
            waiting += count
        else:
            accepted = min(count, max(0, limit - waiting))
            allowance.note("resize", waiting + count, limit)
            waiting += accepted
        assert waiting <= limit


def test_a_limit_is_reached_exactly(tmp_path: Path) -> None:
    """A ledger that does not count each job refuses the first one too many."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    written = [ledger.write([new(max_queue=100), new(max_queue=100)]) for _ in range(52)]
    assert [len(one.refused) for one in written] == [0] * 50 + [2] * 2
    assert queued(ledger, "resize") == 100
    ledger.close()

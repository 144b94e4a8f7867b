"""Which owners one process takes for gone, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.owner_watch import OwnerWatch
from dewar.tasks.ledger.owners import Life, OwnerRecord

LEASE = 15.0


class Host:
    """A watch, its clock, and one owner elsewhere that it looks at."""

    def __init__(self, life: Life = Life.UNKNOWN) -> None:
        self.now = 1000.0
        self.lease_until = 5.0
        self.watch = OwnerWatch(LEASE, lambda: self.now, lambda _owner: life)

    def is_gone(self, after: float = 0.0) -> bool:
        self.now += after
        other = OwnerRecord(id="other", host="h", pid=1, started=1.0, lease_until=self.lease_until)
        return list(self.watch.gone([other])) == ["other"]


def test_a_silent_owner_is_gone_after_a_lease() -> None:
    """It is counted from the first look, whatever time the lease names."""
    host = Host()
    looks = [host.is_gone(after=5.0) for _ in range(5)]
    assert looks == [False, False, False, True, True]


def test_what_is_known_needs_no_lease() -> None:
    """A dead process is gone at once; one that is alive never is, however long it is silent."""
    assert Host(Life.DEAD).is_gone()
    host = Host(Life.ALIVE)
    assert not any(host.is_gone(after=5.0) for _ in range(100))


def test_an_owner_that_renews_is_there() -> None:
    """Also where its clock was set back: any other time is a renewal."""
    host = Host()
    for lease_until in (20.0, -3e7, 4e9, 20.0, 15.0):
        host.lease_until = lease_until
        assert not any(host.is_gone(after=5.0) for _ in range(3))


@pytest.mark.parametrize("outage", [LEASE * 0.6, LEASE, LEASE * 100])
def test_after_an_outage_everybody_has_a_lease_to_come_back(outage: float) -> None:
    """While the database was away the others could not renew either."""
    host = Host()
    assert not any(host.is_gone(after=5.0) for _ in range(3))
    looks = [host.is_gone(after=outage), *(host.is_gone(after=5.0) for _ in range(3))]
    assert looks == [False, False, False, True]


def test_an_owner_that_left_is_forgotten() -> None:
    """Nothing is kept of the processes that come and go."""
    host = Host()
    host.is_gone()
    assert host.watch.gone([]) == []
    assert repr(host.watch) == "<OwnerWatch of 0 owners>"


_pause = st.floats(0.0, LEASE * 4)


@given(st.lists(st.tuples(st.floats(0.1, LEASE / 3), _pause), min_size=1, max_size=30))
def test_who_renews_whenever_it_can_is_never_gone(steps: list[tuple[float, float]]) -> None:
    """The owner may miss as much as the watcher does, and comes back up to half a lease later."""
    host, since_renewal, renewals = Host(), 0.0, 0
    for step, outage in steps:
        since_renewal += step
        if outage > LEASE / 2:
            # Nobody reaches the database. The owner is back a little later than the watcher.
            assert not host.is_gone(after=step + outage)
            since_renewal = 0.0
            continue
        if since_renewal >= LEASE / 3:
            renewals += 1
            host.lease_until, since_renewal = float(renewals), 0.0
        assert not host.is_gone(after=step)

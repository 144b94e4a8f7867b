"""`OwnerWatch`: which owners of jobs are gone, as one process sees them.

Rules for the file:

- An owner that is known to be alive is never gone, whatever its lease says: its process may be
  stopped, or hold the interpreter lock, and its jobs are still its own.
- Otherwise only silence counts: the lease was not renewed while this process looked for as long as
  a lease lasts. The times in the ledger are not compared with a clock, which may be set forward or
  back, and differs between hosts.
- After a pause between two looks the silence begins again. The database may have been away, or
  this process stopped or its host asleep, and then the others could not renew either.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from dewar.tasks.ledger.owners import Life, OwnerRecord, life_of


class _Sighting(NamedTuple):
    """A lease as it was found, and when it was first found so."""

    lease_until: float
    since: float


class OwnerWatch:
    """Judges owners. One thread uses it.

    Args:
        lease: The seconds without a renewal after which an owner is gone.
        monotonic: A clock in seconds that nobody sets.
        life: Returns what is known of an owner's process.
    """

    def __init__(
        self,
        lease: float,
        monotonic: Callable[[], float],
        life: Callable[[OwnerRecord], Life] = life_of,
    ) -> None:
        self._lease = lease
        self._monotonic = monotonic
        self._life = life
        self._seen: dict[str, _Sighting] = {}
        self._looked = monotonic()

    def __repr__(self) -> str:
        return f"<OwnerWatch of {len(self._seen)} owners>"

    def gone(self, owners: Sequence[OwnerRecord]) -> Collection[str]:
        """Look at all owners in the ledger; return the ids of those that are gone.

        Call it at least three times per lease. After a longer pause nobody is gone by silence.
        """
        now = self._monotonic()
        if now - self._looked > self._lease / 2:
            self._seen = {}
        self._looked = now
        self._seen = {owner.id: self._sighting(owner, now) for owner in owners}
        return [owner.id for owner in owners if self._is_gone(owner, now)]

    def _sighting(self, owner: OwnerRecord, now: float) -> _Sighting:
        seen = self._seen.get(owner.id)
        if seen is not None and seen.lease_until == owner.lease_until:
            return seen
        return _Sighting(owner.lease_until, now)

    def _is_gone(self, owner: OwnerRecord, now: float) -> bool:
        life = self._life(owner)
        if life is Life.UNKNOWN:
            return now - self._seen[owner.id].since >= self._lease
        return life is Life.DEAD

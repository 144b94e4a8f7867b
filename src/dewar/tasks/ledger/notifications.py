"""`Notifications`: processes that share a ledger tell one another what they have committed.

Rules for the file:

- A notice is a hint: who gets one looks at the ledger. So a lost one costs only time, until the
  next poll, and a false one costs only a look.
- A notice is sent after the commit, and a listener looks at the ledger after it has begun to
  listen. So nothing is missed in between.
- `notify` never waits for another process, and never fails.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

#: The most ids in one notice; a listener that needs more looks at the ledger.
MAX_IDS = 500


class Topic(Enum):
    """What a process may want to hear of. The value is one letter."""

    JOBS = "j"
    ENDED = "e"
    #: What only somebody who watches wants to know: starts, and progress.
    CHANGED = "c"


@dataclass(frozen=True, slots=True)
class Notice:
    """What has changed in the ledger."""

    #: Whether there may be jobs to claim.
    jobs: bool = False
    #: The ids of jobs that have ended.
    ended: tuple[str, ...] = ()
    #: The ids of jobs that have begun, or have new progress, and have not ended.
    changed: tuple[str, ...] = ()
    #: The ids of owners that have a job to stop or to drop.
    owners: tuple[str, ...] = ()
    #: Whether more has changed than is named: the listener looks at everything.
    is_partial: bool = False

    def __bool__(self) -> bool:
        told = (self.jobs, self.ended, self.changed, self.owners, self.is_partial)
        return any(told)

    def joined(self, other: "Notice") -> "Notice":
        """Return both in one."""
        return Notice(
            jobs=self.jobs or other.jobs,
            ended=(*self.ended, *other.ended),
            changed=(*self.changed, *other.changed),
            owners=(*self.owners, *other.owners),
            is_partial=self.is_partial or other.is_partial,
        )

    def concerns(self, name: str, topics: Collection[Topic]) -> bool:
        """Return whether a listener needs it.

        Args:
            name: The listener's id as an owner.
            topics: What it wants to hear of.
        """
        return (
            self.is_partial
            or (self.jobs and Topic.JOBS in topics)
            or (bool(self.ended) and Topic.ENDED in topics)
            or (bool(self.changed) and Topic.CHANGED in topics)
            or name in self.owners
        )


#: Somebody may have missed something.
PARTIAL = Notice(is_partial=True)
JOBS = Notice(jobs=True)

Tell: TypeAlias = Callable[[Notice], object]


class Notifications(Protocol):
    """How the processes of one ledger tell one another what has changed.

    Any thread may call any method.
    """

    @property
    def is_listening(self) -> bool:
        """Whether this process hears from those that can reach it."""

    def notify(self, notice: Notice) -> None:
        """Tell the processes that it concerns, other than through this object."""

    def listen(self, name: str, topics: Collection[Topic], tell: Tell) -> None:
        """Begin to call a function with notices, on a thread of its own.

        Its first call may come at once, or later if there is no connection yet. Look at the ledger
        after this has returned, and after each partial notice.

        Args:
            name: The id of this process as an owner.
            topics: What it wants to hear of.
            tell: The function.
        """

    def add_topic(self, topic: Topic) -> bool:
        """Hear of a topic from now on; return whether that is new. Look at the ledger then."""

    def maintain(self) -> None:
        """Repair what was removed or broken meanwhile. Call it from time to time."""

    def close(self) -> None:
        """Hear nothing more. `notify` can still be called."""


class NoNotifications:
    """Tells nobody anything: the processes poll."""

    is_listening = False

    def notify(self, notice: Notice) -> None:
        """Do nothing."""

    def listen(self, name: str, topics: Collection[Topic], tell: Tell) -> None:
        """Do nothing."""

    def add_topic(self, topic: Topic) -> bool:  # noqa: ARG002  # as the others
        """Do nothing."""
        return False

    def maintain(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return "<NoNotifications>"


def encode(notice: Notice, max_ids: int = MAX_IDS) -> bytes:
    """Return a notice as a message; with more ids than fit, it becomes partial."""
    count = len(notice.ended) + len(notice.changed) + len(notice.owners)
    if notice.is_partial or count > max_ids:
        return b"*"
    parts = [Topic.JOBS.value] if notice.jobs else []
    parts += [f"{Topic.ENDED.value}{id}" for id in notice.ended]
    parts += [f"{Topic.CHANGED.value}{id}" for id in notice.changed]
    parts += [f"o{id}" for id in notice.owners]
    return " ".join(parts).encode()


def decode(message: bytes) -> Notice:
    """Return the notice in a message. What is not understood is left out."""
    parts = message.decode("ascii", "replace").split(" ")
    return Notice(
        jobs=Topic.JOBS.value in parts,
        ended=tuple(part[1:] for part in parts if part[:1] == Topic.ENDED.value),
        changed=tuple(part[1:] for part in parts if part[:1] == Topic.CHANGED.value),
        owners=tuple(part[1:] for part in parts if part[:1] == "o"),
        is_partial="*" in parts,
    )

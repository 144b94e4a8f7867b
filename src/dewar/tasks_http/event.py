"""`Event`: one server-sent event of a job (WHATWG HTML, 9.2 "Server-sent events")."""

import re
from dataclasses import dataclass
from hashlib import blake2b

from dewar.tasks.ledger.records import JobState

__all__ = ["HEARTBEAT", "Event", "retry_text"]

#: A comment: it keeps proxies from taking the stream for dead, and shows when the client has gone.
HEARTBEAT = ": still here\n\n"

# What ends a line of a stream; a JSON text may have more than one.
_LINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """What a client is told of a job at one moment.

    Attributes:
        state: The job's state then.
        data: All that there is to see of it, as JSON.
    """

    state: JobState
    data: str

    @property
    def id(self) -> str:
        """What the client sends back as ``Last-Event-ID``; the same for the same data."""
        return f"{self.state.value}-{blake2b(self.data.encode(), digest_size=8).hexdigest()}"

    def name(self, before: JobState | None) -> str:
        """Return the event's name: the final state, ``state`` where that changed, or ``progress``.

        Args:
            before: the state that the client was told last.
        """
        if self.state.is_final:
            return self.state.value
        return "progress" if self.state is before else "state"

    def text(self, before: JobState | None) -> str:
        """Return it as it is sent.

        Args:
            before: as in `name`.
        """
        lines = [f"event: {self.name(before)}", f"id: {self.id}"]
        lines += [f"data: {line}" for line in _LINE.split(self.data)]
        return "\n".join(lines) + "\n\n"


def retry_text(seconds: float) -> str:
    """Return what has the client wait that long before it connects again."""
    return f"retry: {int(seconds * 1000)}\n\n"

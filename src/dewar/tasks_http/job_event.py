"""`JobEvent`: the state of a job, as a server-sent event."""

from dataclasses import dataclass
from hashlib import blake2b

from dewar.events.event import ServerSentEvent, event_text
from dewar.tasks.ledger.records import JobState


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What a stream tells of a job at one moment.

    Attributes:
        state: The job's state then.
        data: Everything that a client may see of it, as JSON.
    """

    state: JobState
    data: str

    @property
    def id(self) -> str:
        """What the client sends back as ``Last-Event-ID``; the same for the same data."""
        return f"{self.state.value}-{blake2b(self.data.encode(), digest_size=8).hexdigest()}"

    def name(self, before: JobState | None) -> str:
        """Return the event's name: the final state, ``state`` if that changed, or ``progress``.

        Args:
            before: The state in the previous event; None for the first.
        """
        if self.state.is_final:
            return self.state.value
        return "progress" if self.state is before else "state"

    def text(self, before: JobState | None) -> str:
        """Return the text that is sent.

        Args:
            before: As in `name`.
        """
        # Its data is JSON text already, so `str` has nothing to do.
        return event_text(ServerSentEvent(self.data, event=self.name(before), id=self.id), str)

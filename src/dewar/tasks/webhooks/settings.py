"""`WebhookSettings`: how callbacks are signed and sent, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.webhooks.schedule import Schedule
from dewar.tasks.webhooks.signing import read_secret


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSettings:
    """How callbacks are signed and sent.

    Raises:
        TaskSetupError: For a secret that is none, and for numbers that make no sense.
    """

    #: What is signed with; each signs every callback. No representation shows them.
    secrets: Sequence[str] = field(default=(), repr=False)
    #: What may be called though it is not public; see `SSRFGuard`.
    allow: Sequence[str] = ()
    #: Seconds for an attempt, from the first connecting to the end of the answer's head. The
    #: specification recommends 15 to 30. Resolving the name comes before it.
    timeout: float = 15.0
    schedule: Schedule = field(default_factory=Schedule)
    #: How many callbacks are on their way at once, and how many of these to one host, which then
    #: cannot have all of them wait for it.
    max_threads: int = 8
    per_host: int = 2
    #: Bytes of an answer's body that are read, for the message about a failure.
    max_answer: int = 4096
    #: A file of the authorities to believe over TLS; None for the system's.
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.secrets, str):
            raise TaskSetupError("Callback secrets are a list, also if it is one: secrets=[...].")
        for secret in self.secrets:
            read_secret(secret)
        for name in ("timeout", "max_threads", "per_host", "max_answer"):
            value = getattr(self, name)
            if not value > 0:
                raise TaskSetupError(f"WebhookSettings({name}={value!r}) has to be above 0.")

"""`WebhookSettings`: how callbacks are signed and sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dewar.support.setting_values import maybe_expected
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.webhooks.schedule import Schedule
from dewar.tasks.webhooks.signing import read_secret


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSettings:
    """How callbacks are signed and sent.

    Raises:
        TaskSetupError: For an invalid secret or number.
    """

    #: The secrets, each of which signs every callback. They are not in the repr.
    secrets: Sequence[str] = field(default=(), repr=False)
    #: The networks and hosts that may be called although they are not public; see `SSRFGuard`.
    allow: Sequence[str] = ()
    #: Seconds for an attempt, from connecting to the end of the answer's head. The specification
    #: recommends 15 to 30. Resolving the name is not included.
    timeout: float = 15.0
    schedule: Schedule = field(default_factory=Schedule)
    #: The most callbacks that are sent at once, and the most to one host, so that a slow one cannot
    #: block all of them.
    max_threads: int = 8
    per_host: int = 2
    #: The most bytes that are read of an answer's body, for the message about a failure.
    max_answer: int = 4096
    #: A file with the certificates of trusted authorities; None for the system's.
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.secrets, str):
            raise TaskSetupError(
                "Callback secrets must be a list, even if it is one: secrets=[...]."
            )
        for secret in self.secrets:
            read_secret(secret)
        for name in ("timeout", "max_threads", "per_host", "max_answer"):
            value = getattr(self, name)
            expected = maybe_expected(value, float if name == "timeout" else int)
            if expected is not None:
                raise TaskSetupError(f"WebhookSettings({name}={value!r}) should be {expected}.")

"""The step after an attempt: pure decisions, by the Standard Webhooks specification.

- 2xx is a success and everything else a failure; a redirect is not followed.
- 410 disables the URL.
- 429, 502, 503 and 504 may give the time to wait in Retry-After (RFC 9110, section 10.2.3).
- The delays grow over three days. Each has a random part, so that callbacks that failed together
  are not sent again together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from dewar.tasks.errors import TaskSetupError

_GONE = 410
#: The statuses of an overloaded server.
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryResult:
    """The result of an attempt."""

    #: None without an answer.
    status: int | None
    #: The value of the header Retry-After.
    retry_after: str | None = None
    #: The problem, for people; None after a success.
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It is sent again, not before `at` in seconds since the epoch."""

    at: float


@dataclass(frozen=True, slots=True)
class GaveUp:
    """All its attempts have failed."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """The receiver has disabled this URL."""


Step = Delivered | Retry | GaveUp | Disabled


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The times of the attempts at a callback.

    Raises:
        TaskSetupError: If there is no delay, or a number is negative.
    """

    #: The seconds before each attempt. The default is the example of the specification.
    delays: tuple[float, ...] = (
        0.0,
        5.0,
        300.0,
        1800.0,
        7200.0,
        18000.0,
        36000.0,
        50400.0,
        72000.0,
        86400.0,
    )
    #: The largest random part of a delay, as a fraction of the delay.
    jitter: float = 0.1
    #: The longest wait for a Retry-After, in seconds.
    longest: float = 86400.0

    def __post_init__(self) -> None:
        if not self.delays or min(*self.delays, self.jitter, self.longest, 0.0) < 0.0:
            raise TaskSetupError(
                "A Schedule needs at least one delay, and no number below 0:"
                f" {self!r}. For a single attempt: Schedule(delays=(0.0,))."
            )


def next_step(
    answer: DeliveryResult,
    attempts: int,
    now: float,
    schedule: Schedule,
    random: Callable[[], float],
) -> Step:
    """Return the step after an attempt.

    Args:
        answer: The result of the attempt.
        attempts: The number of attempts, including this one.
        now: Seconds since the epoch.
        schedule: The times of the attempts.
        random: Returns a number from 0 to 1, like `random.random`.
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Delivered()
    if status == _GONE:
        return Disabled()
    if attempts >= len(schedule.delays):
        return GaveUp()
    delay = schedule.delays[attempts] * (1.0 + schedule.jitter * random())
    if status in _BUSY and answer.retry_after is not None:
        delay = max(delay, min(_seconds_of(answer.retry_after, now), schedule.longest))
    return Retry(now + delay)


def _seconds_of(retry_after: str, now: float) -> float:
    """Return the seconds that a Retry-After asks for; 0 if it is invalid."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:15])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    # HTTP dates are in GMT, even if they do not state it.
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    try:
        return max(aware.timestamp() - now, 0.0)
    except (OverflowError, ValueError):
        return 0.0

"""What comes after an attempt: pure decisions, by the Standard Webhooks specification.

- 2xx is success and all else is failure; a redirect is not followed.
- 410 says that the URL wants nothing more, ever.
- 429, 502, 503 and 504 may say in Retry-After (RFC 9110, section 10.2.3) how long to wait.
- Delays grow over three days, and some chance is added to each, so that what has failed together
  does not come again together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from dewar.tasks.errors import TaskSetupError

_GONE = 410
#: Statuses with which a server says that it has too much to do.
_BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryResult:
    """How an attempt went."""

    #: None where no answer came.
    status: int | None
    #: The header Retry-After, as it came.
    retry_after: str | None = None
    #: What went wrong, for people; None where nothing did.
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
    """It has been tried as often as it is to be."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """The receiver wants nothing more at this URL."""


Step = Delivered | Retry | GaveUp | Disabled


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a callback is tried.

    Raises:
        TaskSetupError: If it makes no sense.
    """

    #: Seconds before each attempt, the first being immediate: the specification's example.
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
    #: By how much of itself a delay may be longer.
    jitter: float = 0.1
    #: Seconds of a Retry-After that are waited for at most.
    longest: float = 86400.0

    def __post_init__(self) -> None:
        if not self.delays or min(*self.delays, self.jitter, self.longest, 0.0) < 0.0:
            raise TaskSetupError(
                "A Schedule has at least one delay, and no number in it is below 0:"
                f" {self!r}. For a single attempt: Schedule(delays=(0.0,))."
            )


def next_step(
    answer: DeliveryResult,
    attempts: int,
    now: float,
    schedule: Schedule,
    random: Callable[[], float],
) -> Step:
    """Return what comes after an attempt.

    Args:
        answer: How it went.
        attempts: How many there were, this one included.
        now: Seconds since the epoch.
        schedule: When a callback is tried.
        random: Returns a number from 0 to 1, as `random.random`.
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
    """Return how many seconds a Retry-After asks for; 0 where it makes no sense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:15])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    # HTTP dates are in GMT, also those that don't say so.
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    try:
        return max(aware.timestamp() - now, 0.0)
    except (OverflowError, ValueError):
        return 0.0

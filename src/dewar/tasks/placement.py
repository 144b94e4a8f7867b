"""Where a job waits: its queue, its priority, and what becomes of a second one with its key."""

from enum import Enum
from typing import Any

from dewar.tasks.errors import TaskSetupError

#: The queue of jobs that were submitted to none.
DEFAULT_QUEUE = "default"
_MOST_PRIORITY = 100
_LONGEST_NAME = 100


class OnDuplicate(Enum):
    """What is done with a new job if another one with its key has not ended."""

    RETURN = "return"
    REFUSE = "refuse"
    REPLACE = "replace"


def checked_queue(queue: Any) -> str:
    """Return the name of a queue.

    Raises:
        TaskSetupError: If it cannot be one.
    """
    is_text = isinstance(queue, str) and queue.isprintable() and 0 < len(queue) <= _LONGEST_NAME
    if not is_text or not set(queue).isdisjoint(", "):
        raise TaskSetupError(
            f"queue={queue!r} should be a name of up to {_LONGEST_NAME} characters, without spaces"
            " and commas: queue='mail'."
        )
    name: str = queue
    return name


def checked_priority(priority: Any) -> int:
    """Return a priority.

    Raises:
        TaskSetupError: If it is none.
    """
    if type(priority) is not int or abs(priority) > _MOST_PRIORITY:
        raise TaskSetupError(
            f"priority={priority!r} should be a whole number from -{_MOST_PRIORITY} to"
            f" {_MOST_PRIORITY}. Higher ones go first."
        )
    number: int = priority
    return number


def checked_policy(policy: Any) -> OnDuplicate:
    """Return what is done with a duplicate.

    Raises:
        TaskSetupError: If it is none of the policies.
    """
    try:
        return OnDuplicate(policy)
    except ValueError:
        raise TaskSetupError(
            f"on_duplicate={policy!r} should be 'return' (the job that is there), 'refuse' (raise"
            " Duplicate) or 'replace' (the job that waits)."
        ) from None

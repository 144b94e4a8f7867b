"""The next state of a job whose process or worker died while it ran. These are pure decisions.

The ledger uses them for the jobs of a dead process, and the engines for the jobs of a dead worker,
so all decide alike and with the same message.
"""

from dewar.tasks.errors import JobLost
from dewar.tasks.ledger.records import JobState


def state_after(*, may_repeat: bool, is_stopped: bool = False) -> JobState:
    """Return the next state of an interrupted job, of which nobody knows how far it came.

    Args:
        may_repeat: Whether it may be run again.
        is_stopped: Whether it had been asked to stop.
    """
    if is_stopped:
        return JobState.CANCELLED
    return JobState.QUEUED if may_repeat else JobState.LOST


def lost_error(task: str, id: str = "") -> JobLost:
    """Return the error of a lost job.

    Args:
        task: The task or function that it ran.
        id: The id of the job in the ledger; empty if it is in none.
    """
    repair = f" Check what it did; to run it again: dewar tasks retry {id}" if id else ""
    return JobLost(f"The process that ran {task} died, and the job may not be repeated.{repair}")

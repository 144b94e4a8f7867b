"""What becomes of a job whose process or worker died while it ran. It decides and does nothing.

The ledger asks this for the jobs of a dead process, a process for the jobs of its own workers,
and the engines on other machines for the jobs of theirs. So all give the same answer in the same
words.
"""

from dewar.tasks.errors import JobLost
from dewar.tasks.ledger.records import JobState


def state_after(*, may_repeat: bool, is_stopped: bool = False) -> JobState:
    """Return the next state of a job that was interrupted: nobody knows how far it came.

    Args:
        may_repeat: Whether it may be run again.
        is_stopped: Whether somebody had asked to stop it.
    """
    if is_stopped:
        return JobState.CANCELLED
    return JobState.QUEUED if may_repeat else JobState.LOST


def lost_error(task: str, id: str = "") -> JobLost:
    """Return the error of a job that is lost.

    Args:
        task: What it ran.
        id: Of the job in the ledger; empty where it is in none.
    """
    repair = f" Check what it did; to run it again: dewar tasks retry {id}" if id else ""
    return JobLost(f"The process that ran {task} died, and the job may not be repeated.{repair}")

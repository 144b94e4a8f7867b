"""`LatestProgress`: what running jobs have told of their progress, until it is written."""

from dewar.tasks.ledger.records import ProgressUpdate
from dewar.tasks.progress import Progress


class LatestProgress:
    """Keeps the last progress of each job: a job may tell it more often than it is written.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Progress] = {}

    def __repr__(self) -> str:
        return f"<LatestProgress of {len(self._by_id)} jobs>"

    def note(self, id: str, progress: Progress) -> None:
        """Keep what a job has told, instead of what it told before."""
        self._by_id[id] = progress

    def ids(self) -> list[str]:
        """Return the jobs that have told something since it was taken."""
        return list(self._by_id)

    def maybe_update(self, id: str) -> ProgressUpdate | None:
        """Take what a job has told, to be written; None if there is nothing."""
        progress = self._by_id.pop(id, None)
        if progress is None:
            return None
        return ProgressUpdate(id=id, fraction=progress.fraction, message=progress.message)

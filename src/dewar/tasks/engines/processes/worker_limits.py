"""`WorkerLimits`: after how much work a process is replaced."""

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLimits:
    """When a process is replaced; None for never.

    Attributes:
        max_jobs: After how many jobs.
        max_memory: When it has more than so many bytes of memory after a job.
    """

    max_jobs: int | None = None
    max_memory: int | None = None

    def is_last_job(self, jobs_done: int) -> bool:
        """Return whether the next job of a process is its last."""
        return self.max_jobs is not None and jobs_done + 1 >= self.max_jobs

    def is_too_large(self, memory: int) -> bool:
        """Return whether a process has too much memory."""
        return self.max_memory is not None and memory > self.max_memory

    def excess(self, memory: int) -> str:
        """Return a text about too much memory."""
        most = (self.max_memory or 0) / _MIB
        return (
            f"it has {memory / _MIB:.1f} MiB of memory, more than max_memory_per_worker={most:g}M"
        )

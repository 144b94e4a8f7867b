"""`Job`: a `concurrent.futures.Future` that can be stopped and has its progress."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from dewar.tasks.progress import Progress


class Job(Future[Any]):
    """The Future that `TaskPool.submit` returns. It adds `stop` and `progress` to a plain one.

    `progress` is the latest that the running function reported by ``current_job``, or None.
    """

    progress: Progress | None = None
    _stop: Callable[["Job"], bool] | None = None

    def stop(self) -> bool:
        """Cancel the job even if it runs; return whether it will not finish by itself.

        A job that was running ends with a `concurrent.futures.CancelledError`.

        Raises:
            NotSupported: If the job runs already and its engine cannot stop it.
        """
        if self.cancel():
            return True
        if self.done() or self._stop is None:
            return False
        return self._stop(self)

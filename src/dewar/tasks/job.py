"""`Job`: a `concurrent.futures.Future` that can be stopped and tells how far it is."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from dewar.tasks.progress import Progress


class Job(Future[Any]):
    """What `TaskPool.submit` returns: a real Future, with two things more.

    `progress` is the last that the running function told through ``current_job``, or None.
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

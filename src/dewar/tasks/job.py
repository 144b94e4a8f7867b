"""`Job`: a `concurrent.futures.Future` that can be stopped and has its progress."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import Progress, shielded

if TYPE_CHECKING:  # a default is for type checkers alone, before Python 3.13
    from typing_extensions import TypeVar

    #: What a job returns. ``Job`` alone is a job of any result.
    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

# The logger of concurrent.futures, which logs the other errors of callbacks.
_log = logging.getLogger("concurrent.futures")


class Job(Future[R]):
    """The Future that `TaskPool.submit` returns. It adds `stop` and `progress` to a plain one.

    `progress` is the latest that the running function reported by ``current_job``, or None.
    """

    progress: Progress | None = None
    #: The function, once it runs on a thread of this process.
    interruptible: Interruptible | None = None
    _stop: Callable[..., bool] | None = None
    #: Waits for the job in a worker's thread; returns at once in another.
    _wait: Callable[["Job"], None] | None = None

    def result(self, timeout: float | None = None) -> R:
        """Return what the function returned; see `concurrent.futures.Future`.

        Raises:
            PoolExhausted: If all workers of the pool would wait for its own jobs. A wait with a
                timeout, which ends by itself, is not looked at.
        """
        self._check_wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the function raised, or None. It raises the same errors as `result`."""
        self._check_wait(timeout)
        return super().exception(timeout)

    def _check_wait(self, timeout: float | None) -> None:
        if timeout is None and self._wait is not None and not self.done():
            self._wait(self)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call a function with the job when it has ended; see `concurrent.futures.Future`.

        Whatever it raises is logged, `SystemExit` too: it would end the thread that runs jobs.
        """
        super().add_done_callback(fn if self.done() else partial(_call, fn))

    @shielded
    def stop(self) -> bool:
        """Cancel the job, or ask its function to end if it runs; return whether that was possible.

        The function learns it by ``current_job.is_cancelled``, a coroutine by a cancellation. If it
        ends with a `CancelledError`, the job has that as its exception; if it returns, its result.
        Threads run until their function ends; a process is killed after some seconds.

        Raises:
            NotSupported: If the job runs already and its engine cannot ask it or stop it.
        """
        if self.cancel():
            return True
        if self.done() or self._stop is None:
            return False
        return self._stop(self)


def _call(fn: Callable[[Job], object], job: Job) -> None:
    try:
        fn(job)
    except Exception:
        raise  # logged by the Future
    except BaseException:  # noqa: BLE001  # see add_done_callback
        _log.exception("exception calling callback for %r", job)

"""`run_job`: what a Dask worker calls to run a job."""

import contextvars
import pickle
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from distributed import Variable, get_client, get_worker
from distributed.protocol.pickle import dumps, loads

from dewar.tasks.errors import JobLost
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_in_context
from dewar.tasks.serialization.failures import describe_error


class DescribedError(Exception):  # it stands for another one
    """Stands for an exception that cannot go by itself: its description, for `make_error`."""


def run_job(id: str, topic: str, reply_timeout: float, payload: Mapping[str, Any]) -> Any:
    """Run a job, unless it may not, and return its result.

    Args:
        id: The job's.
        topic: Where the process that submitted it listens.
        reply_timeout: How long to wait for an answer, in seconds.
        payload: The pickled ``call`` and the plain ``context`` and ``known``.

    Raises:
        Described: For an exception that cannot be pickled, or is none, as a SystemExit.
        JobLost: If nobody answers whether it may begin.
    """
    attempt = _ask(id, topic, reply_timeout)
    if attempt == 0:
        return None  # it was cancelled, and nobody reads this
    try:
        return contextvars.copy_context().run(_call, id, topic, payload, attempt)
    except BaseException as error:
        # What is no Exception, as a SystemExit, would end the worker, and its other jobs.
        if isinstance(error, Exception) and _try_pickling(error):
            raise
        described = DescribedError(describe_error(error))
    raise described  # out here it takes nothing along that cannot be pickled either


def _call(id: str, topic: str, payload: Mapping[str, Any], attempt: int) -> Any:
    worker = get_worker()
    known = payload["known"]

    def tell(progress: Progress) -> None:
        content = [progress.fraction, progress.message]
        worker.log_event(topic, {"job": id, "kind": "progress", "content": content})

    number = known["attempt"] + attempt - 1
    running.set(RunningJob(known["id"], known["task"], number, tell))
    function, args, kwargs = loads(payload["call"])
    return call_in_context(payload["context"], function, args, kwargs)


def _ask(id: str, topic: str, reply_timeout: float) -> int:
    """Return which attempt the job may begin, 0 for none."""
    asker = uuid4().hex
    answer = Variable(f"dewar-{asker}", client=get_client())
    get_worker().log_event(topic, {"job": id, "kind": "ask", "content": asker})
    try:
        return int(answer.get(timeout=reply_timeout))
    except TimeoutError:
        raise JobLost(
            "The process that submitted the job did not answer its worker for"
            f" {reply_timeout:g} seconds; the job never began."
        ) from None
    finally:
        answer.delete()


def _try_pickling(error: Exception) -> bool:
    """Pickle an error and read it back; return whether it comes through."""
    try:
        return type(pickle.loads(dumps(error))) is type(error)  # noqa: S301  # its own
    except Exception:  # noqa: BLE001  # whatever a class says to being pickled
        return False

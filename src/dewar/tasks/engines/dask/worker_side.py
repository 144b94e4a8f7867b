"""`run_job`: the function that runs a job on a Dask worker."""

import asyncio
import contextvars
import pickle
from collections.abc import Mapping
from concurrent.futures import wait
from typing import Any
from uuid import uuid4

from distributed import Variable, get_client, get_worker
from distributed.protocol.pickle import dumps, loads

from dewar.tasks.engines.remote.worker_call import call_on_worker
from dewar.tasks.errors import JobLost
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import describe_error

#: How often a worker that waits for an answer looks whether its job is still wanted, in seconds.
_LOOK_INTERVAL = 0.25


class DescribedError(Exception):
    """Holds the description of an exception that cannot be pickled, for `make_error`."""


def run_job(id: str, topic: str, reply_timeout: float, payload: Mapping[str, Any]) -> Any:
    """Run a job and return its result. If it may not begin, return None.

    Args:
        id: The job's id.
        topic: The topic that the submitting process has subscribed to.
        reply_timeout: How long to wait for the answer whether the job may begin, in seconds.
        payload: The pickled ``call``, and ``context`` and ``known`` as plain JSON.

    Raises:
        DescribedError: For an exception that cannot be pickled, or is no `Exception`.
        JobLost: If the submitting process does not answer, or has withdrawn the job or ended.
    """
    attempt = _ask(id, topic, reply_timeout)
    if attempt == 0:
        return None  # it was cancelled, and this result is dropped
    try:
        return contextvars.copy_context().run(_call, id, topic, payload, attempt)
    except BaseException as error:
        # A SystemExit, for example, would end the worker with its other jobs.
        if isinstance(error, Exception) and _try_pickling(error):
            raise
        described = DescribedError(describe_error(error))
    # Not in the handler, where it would get a __context__ that cannot be pickled.
    raise described


def _call(id: str, topic: str, payload: Mapping[str, Any], attempt: int) -> Any:
    worker = get_worker()

    def tell(progress: Progress) -> None:
        content = [progress.fraction, progress.message]
        worker.log_event(topic, {"job": id, "kind": "progress", "content": content})

    function, *arguments = loads(payload["call"])
    context, known = payload["context"], payload["known"]
    return call_on_worker(function, tuple(arguments), context, known, attempt, tell)


def _ask(id: str, topic: str, reply_timeout: float) -> int:
    """Return the number of the attempt that may begin, or 0."""
    asker = uuid4().hex
    answer = Variable(f"dewar-{asker}", client=get_client())
    get_worker().log_event(topic, {"job": id, "kind": "ask", "content": asker})
    try:
        return _wait_for_answer(answer, reply_timeout)
    finally:
        answer.delete()


def _wait_for_answer(answer: Variable, reply_timeout: float) -> int:
    """Wait on the client's loop: nobody answers for a process that has closed its connection."""
    loop = answer.client.loop.asyncio_loop
    coming = answer.get(timeout=reply_timeout, asynchronous=True)
    asked = asyncio.run_coroutine_threadsafe(coming, loop)
    try:
        while not wait([asked], _LOOK_INTERVAL).done:
            if not _is_wanted():
                # No result: should the scheduler want the job again, it takes what this gives.
                raise JobLost("The job was withdrawn before it began.")
        return int(asked.result())
    except TimeoutError:
        raise JobLost(
            "The process that submitted the job did not answer its worker within"
            f" {reply_timeout:g} seconds. The job did not begin."
        ) from None
    finally:
        asked.cancel()


def _is_wanted() -> bool:
    """Return whether anybody waits for this thread's job.

    The scheduler cancels a job on its worker when it was withdrawn, or its client is gone.
    """
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is not None and task.state != "cancelled"


def _try_pickling(error: Exception) -> bool:
    """Pickle and unpickle an error; return whether its class is the same after that."""
    try:
        return type(pickle.loads(dumps(error))) is type(error)  # noqa: S301  # our own pickle
    except Exception:  # noqa: BLE001  # pickling may raise anything
        return False

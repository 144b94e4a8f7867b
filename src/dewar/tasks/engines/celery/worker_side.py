"""`WorkerJobRunner`: runs jobs in the process of a Celery worker."""

import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from billiard.process import current_process
from celery import Celery
from kombu.exceptions import OperationalError

from dewar.loop.from_thread import is_gevent_patched
from dewar.tasks.engines.celery.function_names import (
    STORED_TASK,
    check_app,
    checked_loads,
    find_function,
)
from dewar.tasks.engines.celery.messages import (
    Message,
    MessageKind,
    StartAnswer,
    answer_queue,
    read_answer,
    remove,
    reply_queue,
    send_message,
)
from dewar.tasks.engines.remote.worker_call import call_on_worker
from dewar.tasks.errors import NotSupported
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.values import pack, unpack_arguments

_logger = logging.getLogger("dewar.tasks")

# How often an outcome is sent again to a broker that is not reachable, once per second. After that
# the broker gives the job to another worker, if it has noticed the lost connection.
_RETRIES = 300
# How long a process that did not answer is not asked again, in seconds.
_SILENCE = 60.0
# The pause between two looks for the answer, in seconds: the first, and the longest.
_FIRST_LOOK, _LAST_LOOK = 0.002, 0.05


class WorkerJobRunner:
    """Runs jobs for a Celery app: asks whether a job may begin, calls it and reports the outcome.

    Args:
        app: The Celery app. Its connections are used.
        allowed: Modules and packages whose functions may be run.
        reply_timeout: How long to wait for an answer, in seconds.
        clock: Monotonic, in seconds.
    """

    def __init__(
        self,
        app: Celery,
        allowed: frozenset[str],
        reply_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._loads = checked_loads(allowed)
        self._reply_timeout = reply_timeout
        self._clock = clock
        #: The reply queues of processes that did not answer, and until when these are not asked.
        self._silent: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<WorkerJobRunner of {', '.join(sorted(self._allowed)) or 'nothing'}>"

    def run(self, id: str, job: Mapping[str, Any], is_repeated: bool) -> None:
        """Run a job, if it may begin.

        Args:
            id: The job's id.
            job: The message from `dewar.tasks.engines.celery.messages.job_message`.
            is_repeated: Whether another worker may have begun it.
        """
        attempt = self._ask(id, job["reply"])
        if attempt is None:
            attempt = _unanswered(job, is_repeated)
        if attempt == 0:
            _logger.info("Job %s may not begin.", id)
            return
        try:
            self._say(job["reply"], self._outcome(id, job, attempt), _RETRIES)
        finally:
            # Otherwise an answer that comes too late would stay in the queue.
            with self._app.pool.acquire(block=True) as connection:
                remove(connection, answer_queue(id))

    def _outcome(self, id: str, job: Mapping[str, Any], attempt: int) -> Message:
        try:
            value = contextvars.copy_context().run(self._call, id, job, attempt)
            return Message(MessageKind.DONE, id, pack(value, path="result"))
        except BaseException as error:
            if _is_killed(error):
                raise
            return Message(MessageKind.FAILED, id, describe_error(error))

    def _call(self, id: str, job: Mapping[str, Any], attempt: int) -> Any:
        if job["timeout"] is not None and not _has_own_process():
            raise NotSupported(
                "celery",
                "stop a job after a timeout",
                "This worker runs jobs in threads. Start it with --pool=prefork.",
            )
        if job["known"].get("soft_timeout") is not None and is_gevent_patched():
            raise NotSupported(
                "celery",
                "end a job after a soft timeout",
                "This worker runs jobs in greenlets. Start it with --pool=prefork or threads.",
            )
        context = job["context"]
        check_app(None if context is None else str(context["app"]), self._allowed)
        args, kwargs = unpack_arguments(job["arguments"], self._loads)
        function = find_function(job["function"], args, self._allowed)
        if job["function"] == STORED_TASK:
            self._loads(args[1])  # checks the classes in the arguments that it will unpack

        def tell(progress: Progress) -> None:
            content = [progress.fraction, progress.message]
            self._say(job["reply"], Message(MessageKind.PROGRESS, id, content))

        return call_on_worker(function, (args, kwargs), context, job["known"], attempt, tell)

    def _ask(self, id: str, reply: str) -> int | None:
        """Return the number of the attempt that may begin, or 0; None if there is no answer."""
        answer = self._wait_for_answer(id, 0.0)  # a cancelled job has its refusal already
        if answer is None and self._silent.pop(reply, 0.0) <= self._clock():
            content = {"asker": uuid4().hex, "stoppable": _has_own_process()}
            self._say(reply, Message(MessageKind.ASK, id, content), _RETRIES)
            answer = self._wait_for_answer(id, self._reply_timeout)
        if answer is not None:
            return answer.attempt
        # The next jobs of that process do not wait for an answer.
        self._silent[reply] = self._clock() + _SILENCE
        return None

    def _wait_for_answer(self, id: str, wait: float) -> StartAnswer | None:
        queue = answer_queue(id)
        until = self._clock() + wait
        pause = _FIRST_LOOK
        with self._app.pool.acquire(block=True) as connection:
            queue(connection.default_channel).declare()
            while (answer := read_answer(connection, queue)) is None:
                if self._clock() >= until:
                    return None
                time.sleep(pause)
                pause = min(pause * 2, _LAST_LOOK)
        return answer

    def _say(self, reply: str, message: Message, retries: int | None = None) -> None:
        try:
            with self._app.producer_or_acquire() as producer:
                send_message(producer, reply_queue(reply), message, retries)
        except OperationalError:
            if message.kind is not MessageKind.PROGRESS:
                raise
            _logger.warning(
                "The broker is not reachable; %s of job %s is lost.", message.kind, message.job
            )


def _unanswered(job: Mapping[str, Any], is_repeated: bool) -> int:
    """Return the number of the attempt that may begin if the submitting process has ended, or 0."""
    if job["function"] == STORED_TASK:
        return 0  # the job is in a ledger, and another process submits it again
    return 1 if job["repeatable"] or not is_repeated else 0


def _has_own_process() -> bool:
    """Return whether this process runs no other jobs, as in a prefork pool, and can be killed."""
    return bool(current_process().name != "MainProcess")


def _is_killed(error: BaseException) -> bool:
    """Return whether the worker's signal handler has raised this, and not the function.

    It exits with -(256 - signal). Either the job has exceeded its time limit, and the parent
    process reports that; or its worker is being killed, and the job runs again.
    """
    return isinstance(error, SystemExit) and error.code in range(-255, -191)

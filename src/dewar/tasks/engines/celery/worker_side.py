"""`WorkerJobRunner`: runs jobs, in a worker's process."""

import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from billiard.process import current_process
from celery import Celery
from kombu.exceptions import OperationalError

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
from dewar.tasks.errors import NotSupported
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_in_context
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.values import pack, unpack_arguments

_logger = logging.getLogger("dewar.tasks")

# How often a result is offered, a second after the other, to a broker that is away. After that
# a broker that has seen the worker's connection go gives the job to another.
_RETRIES = 300
# How long a process that did not answer counts as gone, in seconds.
_SILENCE = 60.0
# How often the answer is looked for, in seconds: the first time, and at most.
_FIRST_LOOK, _LAST_LOOK = 0.002, 0.05


class WorkerJobRunner:
    """Runs jobs for a Celery app: asks whether it may, calls the function, tells what came of it.

    Args:
        app: The Celery app, whose connections it uses.
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
        #: Reply queues that nobody seemed to read, and until when they count as such.
        self._silent: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<WorkerJobRunner of {', '.join(sorted(self._allowed)) or 'nothing'}>"

    def run(self, id: str, job: Mapping[str, Any], is_repeated: bool) -> None:
        """Run a job, unless it may not.

        Args:
            id: The job's.
            job: What the engine has sent: see `dewar.tasks.engines.celery.messages.job_message`.
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
            # An answer that came too late would stay there.
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
                "This worker's pool has no processes to kill. Start it with --pool=prefork.",
            )
        context = job["context"]
        check_app(None if context is None else str(context["app"]), self._allowed)
        args, kwargs = unpack_arguments(job["arguments"], self._loads)
        function = find_function(job["function"], args, self._allowed)
        if job["function"] == STORED_TASK:
            self._loads(args[1])  # what it will read itself

        def tell(progress: Progress) -> None:
            content = [progress.fraction, progress.message]
            self._say(job["reply"], Message(MessageKind.PROGRESS, id, content))

        known = job["known"]
        number = known["attempt"] + attempt - 1
        running.set(RunningJob(known["id"], known["task"], number, tell))
        return call_in_context(context, function, args, kwargs)

    def _ask(self, id: str, reply: str) -> int | None:
        """Return which attempt the job may begin, 0 for none; None where nobody answers."""
        answer = self._wait_for_answer(id, 0.0)  # a "no" may be there already
        if answer is None and self._silent.pop(reply, 0.0) <= self._clock():
            content = {"asker": uuid4().hex, "stoppable": _has_own_process()}
            self._say(reply, Message(MessageKind.ASK, id, content), _RETRIES)
            answer = self._wait_for_answer(id, self._reply_timeout)
        if answer is not None:
            return answer.attempt
        # The next of that process's jobs need not wait as long.
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
            _logger.warning("The broker is away; %s of job %s is lost.", message.kind, message.job)


def _unanswered(job: Mapping[str, Any], is_repeated: bool) -> int:
    """Return which attempt a job may begin whose process is gone: accepted it was."""
    if job["function"] == STORED_TASK:
        return 0  # its ledger knows of it, and another process submits it again
    return 1 if job["repeatable"] or not is_repeated else 0


def _has_own_process() -> bool:
    """Return whether this process can be killed and no other job with it: as of a prefork pool."""
    return bool(current_process().name != "MainProcess")


def _is_killed(error: BaseException) -> bool:
    """Return whether the worker's handler of signals has raised this, not the function.

    It exits with -(256 - signal). Such a job has a time limit that is over, which the parent
    process tells, or loses its worker and is run again.
    """
    return isinstance(error, SystemExit) and error.code in range(-255, -191)

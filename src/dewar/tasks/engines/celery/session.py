"""`Session`: what one process has to do with its jobs on Celery workers."""

import threading
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu import Connection, Producer
from kombu.pidbox import Mailbox

from dewar.tasks.engines.celery.application import TASK
from dewar.tasks.engines.celery.listener import Listener
from dewar.tasks.engines.celery.mail import (
    Answer,
    Kind,
    Message,
    answer_queue,
    post,
    reply_queue,
)
from dewar.tasks.engines.celery.memory import BrokerMemory
from dewar.tasks.engines.celery.parcel import pack_call
from dewar.tasks.engines.celery.sender import Sender
from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.celery.values import checked_loads
from dewar.tasks.engines.far.clerk import Clerk
from dewar.tasks.engines.far.open_jobs import Counts, OpenJobs, Stage
from dewar.tasks.engines.interface import Call
from dewar.tasks.errors import EngineUnreachable, JobLost, JobTimeout, NotSupported, Unreadable
from dewar.tasks.failures import make_error
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress
from dewar.tasks.values import unpack


class Session:
    """Hands jobs over, hears of them, and settles them. Belongs to one process.

    It makes no thread and no connection before the first job.

    Threads: any may call any method. The sender's connection is whoever's turn it is; the
    listener has its own, and its thread handles all messages; the clerk's thread settles the jobs.

    Args:
        app: The Celery app to send jobs with.
        settings: Where the broker is.
    """

    def __init__(self, app: Celery, settings: CelerySettings) -> None:
        self._app = app
        self._settings = settings
        self._reply = reply_queue(f"dewar.reply.{uuid4().hex}")
        self._clerk = Clerk("dewar-celery-results")
        self._open = OpenJobs(self._clerk, self._end_soon)
        # RabbitMQ says that it has a job before submit returns. Redis always does.
        options = {} if settings.is_redis else {"confirm_publish": True}
        connect = partial(app.connection_for_write, transport_options=options)
        self._sender = Sender(connect, settings.shown)
        self._memory = BrokerMemory(self._reply.name, settings.is_redis)
        self._listener = Listener(
            app.connection_for_read, self._reply, self._handle, self._look_after_loss
        )
        self._lock = threading.Lock()
        self._is_closed = False
        self._loads = checked_loads()

    def __repr__(self) -> str:
        return f"<Session of {len(self._open)} jobs at {self._settings.shown}>"

    def submit(self, job: Job, call: Call) -> None:
        """Put a job into the queue.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If the function cannot be found by its name.
            RuntimeError: After `shutdown`.
            Unserializable: If an argument has no JSON form.
        """
        parcel = pack_call(job, call, self._reply.name)

        def put(connection: Connection) -> None:
            # Each try has an id of its own: if one fails that did arrive, its worker is told no.
            id = self._enter(job, call)  # as it is called
            try:
                self._put(connection, id, parcel)
            except BaseException:
                self._open.drop(id)
                raise

        self._listener.start()
        self._sender.send(put)
        job.add_done_callback(self._withdraw)

    def stop(self, job: Job) -> bool:
        """Have a job killed that runs; return whether it runs here.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If its worker has no process for it alone.
        """
        one = self._open.stop(job)
        if one is None:
            return False
        if not one.stoppable:
            raise NotSupported(
                "celery",
                "stop a job that runs",
                "Its worker runs jobs in threads. Start it with --pool=prefork.",
            )
        id = one.id  # as it is called
        self._sender.send(lambda connection: self._revoke(connection, id))
        return True

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """See `dewar.tasks.engines.interface.Engine.shutdown`."""
        with self._lock:
            self._is_closed = True
        if cancel_futures:
            for one in self._open.all(Stage.WAITING, Stage.BEGINNING):
                one.job.cancel()
        if wait:
            self._open.wait_until_empty()
            self._end()
        elif not len(self._open):
            self._end_soon()

    def counts(self) -> Counts:
        """Return how many jobs there are."""
        return self._open.counts()

    def _enter(self, job: Job, call: Call) -> str:
        id = uuid4().hex  # as it is called
        with self._lock:
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._open.add(id, job, call)
        return id

    def _put(self, connection: Connection, id: str, parcel: dict[str, Any]) -> None:
        self._memory.note(connection)
        self._app.send_task(
            TASK,
            args=[parcel],
            task_id=id,
            connection=connection,
            queue=self._settings.queue,
            time_limit=parcel["timeout"],
            serializer="json",
            ignore_result=True,
            retry=False,
            argsrepr="(...)",  # what jobs are given is nobody's business but theirs
        )

    def _revoke(self, connection: Connection, id: str) -> None:
        mailbox = Mailbox(self._app.conf.control_exchange, type="fanout", serializer="json")
        what = {"task_id": id, "terminate": True, "signal": "SIGKILL"}
        mailbox(connection).abcast("revoke", what)

    def _withdraw(self, job: Future[Any]) -> None:
        """Tell a worker that will ask for a cancelled job, now, that it may not begin."""
        id = self._open.withdraw(job) if job.cancelled() else ""
        if id:
            with_no = answer_queue(id)
            # Where that fails, it hears so when it asks, as long as this process lives.
            with suppress(EngineUnreachable):
                self._sender.send(lambda one: post(Producer(one), with_no, Answer(0)))

    def _handle(self, message: Message, producer: Producer) -> None:
        id, content = message.job, message.content
        match message.kind:
            case Kind.ASK:
                attempt = self._open.ask(id, content["asker"], content["stoppable"])
                post(producer, answer_queue(id), Answer(attempt))
            case Kind.PROGRESS:
                self._open.tell(id, Progress(*content))
            case Kind.DONE:
                self._finish(id, content)
            case Kind.FAILED:
                self._open.fail(id, make_error(content, self._loads))
            case Kind.TIMEOUT:
                self._open.fail(id, JobTimeout(self._open.name_of(id), float(content)))
            case Kind.STOPPED:
                self._open.fail(id, CancelledError())

    def _finish(self, id: str, content: str) -> None:
        try:
            value = unpack(content, self._loads)
        except Unreadable as error:
            self._open.fail(id, error)
        else:
            self._open.finish(id, value)

    def _look_after_loss(self, connection: Connection) -> None:
        """Fail the jobs that wait, where the broker has forgotten them."""
        if self._memory.detect_loss(connection):
            for one in self._open.all(Stage.WAITING):
                lost = JobLost("The broker was restarted and kept nothing; the job never began.")
                self._open.fail(one.id, lost)
        self._memory.note(connection)

    def _end_soon(self) -> None:
        # Not here: whoever settles the last job may be the listener, which must not wait for
        # itself; and the last job's callbacks come first.
        if self._is_closed:
            self._clerk.call_soon(self._end)

    def _say_bye(self, connection: Connection) -> None:
        self._memory.clear(connection)
        post(Producer(connection), self._reply, Message(Kind.BYE, ""))

    def _end(self) -> None:
        if self._listener.stop():
            # Where that fails, it wakes up by itself, a little later.
            with suppress(EngineUnreachable):
                self._sender.send(self._say_bye)
        self._listener.join()
        self._sender.close()
        self._clerk.close()

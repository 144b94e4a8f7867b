"""`CelerySession`: the jobs of one process on Celery workers."""

from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu import Connection, Producer
from kombu.pidbox import Mailbox

from dewar.tasks.engines.celery.application import TASK
from dewar.tasks.engines.celery.broker import BrokerConnection, BrokerMark
from dewar.tasks.engines.celery.function_names import checked_loads
from dewar.tasks.engines.celery.messages import (
    Message,
    MessageKind,
    StartAnswer,
    answer_queue,
    job_message,
    reply_queue,
    send_message,
)
from dewar.tasks.engines.celery.reply_listener import ReplyListener
from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.in_flight import InFlightState
from dewar.tasks.engines.remote.session import RemoteSession
from dewar.tasks.errors import EngineUnreachable, JobLost, JobTimeout, NotSupported, Unreadable
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import make_error
from dewar.tasks.serialization.values import unpack


class CelerySession(RemoteSession):
    """See `dewar.tasks.engines.remote.session.RemoteSession`.

    Threads: all share one connection to send with, which one thread at a time uses. The listener
    has a second connection; its thread handles all received messages.

    Args:
        app: The Celery app to send jobs with.
        settings: Where the broker is.
    """

    def __init__(self, app: Celery, settings: CelerySettings) -> None:
        super().__init__("celery")
        self._app = app
        self._settings = settings
        self._reply = reply_queue(f"dewar.reply.{uuid4().hex}")
        # With RabbitMQ, submit waits for the confirmation that the broker has the job. Redis
        # confirms each command anyway.
        options = {} if settings.is_redis else {"confirm_publish": True}
        connect = partial(app.connection_for_write, transport_options=options)
        self._broker = BrokerConnection(connect, settings.shown)
        self._mark = BrokerMark(self._reply.name, settings.is_redis)
        self._listener = ReplyListener(
            app.connection_for_read, self._reply, self._handle, self._look_after_loss
        )
        self._loads = checked_loads()

    def __repr__(self) -> str:
        return f"<CelerySession of {len(self._in_flight)} jobs at {self._settings.shown}>"

    def submit(self, job: Job, call: JobCall) -> None:
        """Put a job into the queue.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If the function cannot be found by its name.
            RuntimeError: After `shutdown`.
            Unserializable: If an argument has no JSON form.
        """
        payload = job_message(call, self._reply.name)

        def put(connection: Connection) -> None:
            # Each try has a new id. If a message arrives although its try has failed, its worker
            # is refused.
            id = self._add(job, call)
            try:
                self._put(connection, id, payload)
            except BaseException:
                self._in_flight.drop(id)
                raise

        self._listener.start()
        self._broker.send(put)
        job.add_done_callback(self._withdraw)

    def stop(self, job: Job) -> bool:
        """Kill a running job; return whether it was running here.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If its worker runs it in a thread.
        """
        one = self._in_flight.stop(job)
        if one is None:
            return False
        if not one.stoppable:
            raise NotSupported(
                "celery",
                "stop a job that runs",
                "Its worker runs jobs in threads. Start it with --pool=prefork.",
            )
        id = one.id
        self._broker.send(lambda connection: self._revoke(connection, id))
        return True

    def _put(self, connection: Connection, id: str, payload: dict[str, Any]) -> None:
        self._mark.note(connection)
        self._app.send_task(
            TASK,
            args=[payload],
            task_id=id,
            connection=connection,
            queue=self._settings.queue,
            time_limit=payload["timeout"],
            serializer="json",
            ignore_result=True,
            retry=False,
            argsrepr="(...)",  # logs and monitors of Celery must not show the arguments
        )

    def _revoke(self, connection: Connection, id: str) -> None:
        mailbox = Mailbox(self._app.conf.control_exchange, type="fanout", serializer="json")
        what = {"task_id": id, "terminate": True, "signal": "SIGKILL"}
        mailbox(connection).abcast("revoke", what)

    def _forget(self, id: str) -> None:
        # If the broker is not reachable, the worker is refused when it asks, as long as this
        # process lives.
        with suppress(EngineUnreachable):
            self._broker.send(
                lambda one: send_message(Producer(one), answer_queue(id), StartAnswer(0))
            )

    def _handle(self, message: Message, producer: Producer) -> None:
        id, content = message.job, message.content
        match message.kind:
            case MessageKind.ASK:
                attempt = self._in_flight.ask(id, content["asker"], content["stoppable"])
                send_message(producer, answer_queue(id), StartAnswer(attempt))
            case MessageKind.PROGRESS:
                self._in_flight.set_progress(id, Progress(*content))
            case MessageKind.DONE:
                self._finish(id, content)
            case MessageKind.FAILED:
                self._in_flight.fail(id, make_error(content, self._loads))
            case MessageKind.TIMEOUT:
                self._in_flight.fail(id, JobTimeout(self._in_flight.name_of(id), float(content)))
            case MessageKind.STOPPED:
                self._in_flight.fail(id, CancelledError())

    def _finish(self, id: str, content: str) -> None:
        try:
            value = unpack(content, self._loads)
        except Unreadable as error:
            self._in_flight.fail(id, error)
        else:
            self._in_flight.finish(id, value)

    def _look_after_loss(self, connection: Connection) -> None:
        """Fail the jobs that wait if the broker has lost them."""
        if self._mark.detect_loss(connection):
            for one in self._in_flight.all(InFlightState.WAITING):
                lost = JobLost("The broker was restarted and lost its data. The job never began.")
                self._in_flight.fail(one.id, lost)
        self._mark.note(connection)

    def _say_bye(self, connection: Connection) -> None:
        self._mark.clear(connection)
        send_message(Producer(connection), self._reply, Message(MessageKind.BYE, ""))

    def _disconnect(self) -> None:
        if self._listener.stop():
            # Without this message the listener wakes up by itself, a little later.
            with suppress(EngineUnreachable):
                self._broker.send(self._say_bye)
        self._listener.join()
        self._broker.close()

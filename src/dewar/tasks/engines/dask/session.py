"""`DaskSession`: the jobs of one process on a Dask cluster."""

import socket
import traceback
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker, Variable
from distributed import Future as FarFuture
from distributed.protocol.pickle import dumps

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.dask.settings import DaskSettings
from dewar.tasks.engines.dask.worker_side import DescribedError, run_job
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.session import RemoteSession, description_of
from dewar.tasks.errors import EngineUnreachable, JobLost, WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import RemoteTraceback, make_error


class DaskSession(RemoteSession):
    """See `dewar.tasks.engines.remote.session.RemoteSession`.

    Threads: Dask's event loop runs on a thread of the client, where nothing may block. One queue
    answers the workers' questions, the other settles the jobs.

    Args:
        settings: Where the scheduler is.
    """

    def __init__(self, settings: DaskSettings) -> None:
        super().__init__("dask")
        self._settings = settings
        self._topic = f"dewar-{uuid4().hex}"
        self._answers = CallQueue("dewar-dask-answers")
        self._futures: dict[str, FarFuture] = {}
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"<DaskSession of {len(self._in_flight)} jobs at {self._settings.address}>"

    def submit(self, job: Job, call: JobCall) -> None:
        """Hand a job to the scheduler.

        Raises:
            EngineUnreachable: If the scheduler does not answer.
            RuntimeError: After `shutdown`.
            TypeError: If the function or an argument cannot be pickled.
        """
        payload = {
            "call": dumps((call.function, call.args, dict(call.kwargs))),
            "context": call.context.portable() if call.context is not None else None,
            "known": description_of(call),
        }
        id = self._add(job, call)
        try:
            with self._lock:
                client = self._connected()
            self._hand_over(client, id, payload)
        except BaseException:
            self._in_flight.drop(id)
            raise
        job.add_done_callback(self._withdraw)

    def _connected(self) -> Client:
        """Return a connected client. The caller holds the lock."""
        if self._client is not None and self._client.status == "running":
            return self._client
        client, self._client = self._client, None
        _close(client)
        settings = self._settings
        try:
            # Try this first: a client that cannot connect is slow to fail, and leaves a thread.
            address = (settings.host, settings.port)
            socket.create_connection(address, timeout=settings.connect).close()
            self._client = Client(
                settings.address, timeout=settings.connect, name="dewar", set_as_default=False
            )
            self._client.subscribe_topic(self._topic, self._hear)
        except OSError as error:
            raise EngineUnreachable("dask", settings.address, error) from error
        return self._client

    def _hand_over(self, client: Client, id: str, payload: dict[str, Any]) -> None:
        future = client.submit(
            run_job,
            id,
            self._topic,
            self._settings.reply_timeout,
            payload,
            key=f"dewar-{id}",
            pure=False,
        )
        self._futures[id] = future
        client.loop.add_callback(self._watch, id, future)

    async def _watch(self, id: str, future: FarFuture) -> None:
        """Wait for a job to end; on the client's loop."""
        try:
            value = await future
        except (Exception, CancelledError) as error:  # noqa: BLE001  # it is the job's outcome
            self._in_flight.fail(id, _translated(error))
        else:
            self._in_flight.finish(id, value)
        self._futures.pop(id, None)
        future.release()

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Receive a worker's message; on the client's loop."""
        message, client = event[1], self._client
        if message["kind"] == "progress":
            # Here and now: the end of the job follows, and no progress counts after it.
            self._in_flight.set_progress(message["job"], Progress(*message["content"]))
        elif client is not None:
            self._answers.call_soon(self._answer, client, message)

    def _answer(self, client: Client, message: dict[str, Any]) -> None:
        id, content = message["job"], message["content"]
        attempt = self._in_flight.ask(id, content)
        try:
            Variable(f"dewar-{content}", client=client).set(attempt)
        except Exception:
            # Without the connection the scheduler withdraws the job, and the worker sees that.
            if client.status == "running":
                raise

    def _forget(self, id: str) -> None:
        future = self._futures.pop(id, None)
        if future is not None:
            future.release()

    def _disconnect(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        self._answers.close()  # `_hear` gives it no more, and those it has need the client
        _close(client)


def _close(client: Client | None) -> None:
    if client is not None:
        with suppress(OSError, RuntimeError):
            client.close()


def _translated(error: BaseException) -> BaseException:
    """Return the exception of a Dask job as the caller should see it."""
    if isinstance(error, KilledWorker):
        died = WorkerDied(
            f"Too many workers have died while they ran the job; it is given up: {error}"
        )
        died.__cause__ = error
        return died
    if isinstance(error, CancelledError):
        lost = JobLost(
            "The connection to the Dask scheduler was lost, and the job with it. It may have run."
        )
        lost.__cause__ = error
        return lost
    if isinstance(error, DescribedError):
        return make_error(error.args[0])
    text = "".join(traceback.format_exception(error))
    error.__cause__ = RemoteTraceback(text)
    return error.with_traceback(None)

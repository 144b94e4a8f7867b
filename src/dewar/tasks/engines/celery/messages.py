"""The messages between the process that submits jobs and the workers, in plain JSON.

Besides the queue for jobs there are two kinds of queues at the broker:

- a *reply queue* for each process that submits jobs. Workers ask there whether a job may begin, and
  report its progress and its outcome.
- an *answer queue* for each job. Its first message says whether the job may begin, and as which
  attempt. For a cancelled job a refusal is put there at once, even if no worker has asked: so the
  job stays cancelled when the submitting process ends. The worker removes the queue.

So no result backend is needed, and Redis and RabbitMQ work in the same way. The queues are durable,
and the broker removes them when they have not been used for a while.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from kombu import Connection, Exchange, Producer, Queue

from dewar.tasks.engines.celery.function_names import importable_name
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.session import description_of
from dewar.tasks.serialization.values import pack_arguments

# After how many seconds without use a queue is removed: replies to a process that has died, and
# answers that no worker has read because the job's message no longer exists.
_REPLIES_KEPT = 3600.0
_ANSWERS_KEPT = 7 * 86400.0


class MessageKind(Enum):
    """What a message in a reply queue says about a job."""

    #: A worker asks whether the job may begin.
    ASK = "ask"
    PROGRESS = "progress"
    DONE = "done"
    FAILED = "failed"
    #: The next two are from the worker's parent process, which has killed the job's process.
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    #: From the submitting process to itself: stop listening.
    BYE = "bye"


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a reply queue."""

    kind: MessageKind
    job: str
    content: Any = None

    def plain(self) -> dict[str, Any]:
        """Return it in plain JSON."""
        return {"kind": self.kind.value, "job": self.job, "content": self.content}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Message | None":
        """Return the message of a body from `plain`, or None if it is not valid."""
        try:
            return cls(MessageKind(body["kind"]), str(body["job"]), body["content"])
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """A message in an answer queue: the number of the attempt that may begin, or 0."""

    attempt: int

    def plain(self) -> dict[str, Any]:
        """Return it in plain JSON."""
        return asdict(self)


def job_message(call: JobCall, reply: str) -> dict[str, Any]:
    """Return a job as it goes to a worker, in plain JSON; `WorkerJobRunner` reads it.

    Args:
        call: What the job runs.
        reply: The name of the reply queue.

    Raises:
        NotSupported: If the function cannot be found by its name.
        Unserializable: If an argument has no JSON form.
    """
    return {
        "function": importable_name(call.function),
        "arguments": pack_arguments(call.args, call.kwargs),
        "context": call.context.portable() if call.context is not None else None,
        "timeout": call.timeout,
        "repeatable": call.repeatable,
        "known": description_of(call),
        "reply": reply,
    }


def reply_queue(name: str) -> Queue:
    """Return the queue of the messages from workers to one process."""
    return _queue(name, _REPLIES_KEPT)


def answer_queue(job: str) -> Queue:
    """Return the queue of the answer whether a job may begin."""
    return _queue(f"dewar.answer.{job}", _ANSWERS_KEPT)


def send_message(
    producer: Producer, queue: Queue, message: Message | StartAnswer, retries: int | None = None
) -> None:
    """Put a message into a queue, which is created if it does not exist.

    Args:
        producer: A producer of the connection to use.
        queue: The queue.
        message: The message.
        retries: How often to try again if the broker is not reachable, once per second; None for
            never.
    """
    producer.publish(
        message.plain(),
        exchange="",
        routing_key=queue.name,
        declare=[queue],
        serializer="json",
        delivery_mode=2,
        retry=retries is not None,
        retry_policy={"max_retries": retries, "interval_start": 0.1, "interval_max": 1.0},
    )


def read_answer(connection: Connection, queue: Queue) -> StartAnswer | None:
    """Return the answer and remove its queue, or None if there is none yet."""
    bound = queue(connection.default_channel)
    message = bound.get(no_ack=True, accept=["json"])
    if message is None:
        return None
    remove(connection, queue)
    return StartAnswer(int(message.payload["attempt"]))


def remove(connection: Connection, queue: Queue) -> None:
    """Remove a queue and what is in it."""
    bound = queue(connection.default_channel)
    if connection.transport.driver_type != "amqp":
        bound.purge()  # elsewhere a queue exists only as long as it has messages
    bound.delete()


def _queue(name: str, kept: float) -> Queue:
    # The default exchange has no name, and routes to each queue by the queue's name.
    return Queue(name, Exchange(""), routing_key=name, durable=True, expires=kept)

"""What the process that submitted a job and the worker that has it tell each other.

Two kinds of queues at the broker, beside the one for jobs, all of them in plain JSON:

- a *reply queue* for each process that submits. Workers say there that they ask for leave to
  begin, how far a job is, and how it ended.
- an *answer queue* for each job that asks. Its first message tells whether the job may begin, and
  as which attempt. A cancelled job gets a "no" there at once, even if no worker has asked: so it
  stays cancelled when the process that cancelled it ends. The worker removes the queue.

So nothing depends on a result backend, and Redis and RabbitMQ are dealt with in one way. The
queues outlive a restart of a broker that keeps its queues, and go when nobody has used them for a
while.
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

# In seconds, for when nobody uses them: replies to a process that has died, and answers that no
# worker has come for, as the job is in nobody's queue any more.
_REPLIES_KEPT = 3600.0
_ANSWERS_KEPT = 7 * 86400.0


class MessageKind(Enum):
    """What a worker says of a job."""

    #: It asks whether the job may begin.
    ASK = "ask"
    PROGRESS = "progress"
    DONE = "done"
    FAILED = "failed"
    #: Said by the worker's parent process, which has killed the one that ran the job.
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    #: Said by a process to itself: stop listening.
    BYE = "bye"


@dataclass(frozen=True, slots=True)
class Message:
    """What is in a reply queue: a word about a job, and what belongs to it."""

    kind: MessageKind
    job: str
    content: Any = None

    def plain(self) -> dict[str, Any]:
        """Return it in plain JSON."""
        return {"kind": self.kind.value, "job": self.job, "content": self.content}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Message | None":
        """Return what `plain` was made of; None where it is of some other version, or of nobody."""
        try:
            return cls(MessageKind(body["kind"]), str(body["job"]), body["content"])
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """What is in an answer queue: as which attempt the job may begin, or 0 for no."""

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
    """Return the queue for what workers say to one process."""
    return _queue(name, _REPLIES_KEPT)


def answer_queue(job: str) -> Queue:
    """Return the queue for the answer that a job waits for."""
    return _queue(f"dewar.answer.{job}", _ANSWERS_KEPT)


def send_message(
    producer: Producer, queue: Queue, message: Message | StartAnswer, retries: int | None = None
) -> None:
    """Put a message into a queue, which is made where it is not there.

    Args:
        producer: Of the connection to use.
        queue: Where to put it.
        message: What to put.
        retries: How often to try again, a second after the other, where the broker is away; None
            for not at all.
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
        bound.purge()  # elsewhere a queue is nothing but what is in it
    bound.delete()


def _queue(name: str, kept: float) -> Queue:
    # The exchange without a name leads to every queue by its name.
    return Queue(name, Exchange(""), routing_key=name, durable=True, expires=kept)

"""What goes wrong between handing a job over and having its result.

Two questions decide the class: *whose* mistake is it (a call that the engine cannot do, a queue
that is full, a job that failed), and what would a user of `concurrent.futures` catch today?
"""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor

from dewar.errors import DewarError


class TasksError(DewarError):
    """The root of what goes wrong with tasks."""


class NotSupported(TasksError, NotImplementedError):  # noqa: N818  # the name is promised
    """Raised for what an engine cannot do.

    It is a `NotImplementedError`. `engine` and `operation` say what was asked of whom.
    """

    def __init__(self, engine: str, operation: str, repair: str) -> None:
        super().__init__(f"The engine {engine!r} cannot {operation}. {repair}")
        self.engine = engine
        self.operation = operation


class QueueFull(TasksError, RuntimeError):  # noqa: N818  # as queue.Full and asyncio.QueueFull
    """Raised when as many jobs wait as are allowed; what does not fit was not accepted.

    `what` names the pool or task, `limit` is how many jobs may wait, and `accepted` are the jobs of
    the same call that did fit.
    """

    def __init__(self, what: str, limit: int, accepted: Sequence[object] = ()) -> None:
        super().__init__(
            f"{what} has {limit} jobs waiting, which is all it may have. Submit again later (over"
            " HTTP that is a 503 with Retry-After), or allow more: max_queue=..."
        )
        self.what = what
        self.limit = limit
        self.accepted = accepted


class EngineUnreachable(TasksError, ConnectionError):  # noqa: N818  # as the ConnectionError it is
    """Raised when a job cannot be handed over, as the broker or scheduler does not answer.

    Nothing was accepted. `engine` and `where` say who was asked.
    """

    def __init__(self, engine: str, where: str, error: BaseException) -> None:
        super().__init__(
            f"The engine {engine!r} cannot reach {where} ({error}). Nothing was accepted: submit it"
            " again when it is back. Is the address right?"
        )
        self.engine = engine
        self.where = where


class JobTimeout(TasksError, TimeoutError):  # noqa: N818  # as the TimeoutError it is
    """The outcome of a job that ran longer than it may; its work was stopped.

    `seconds` is how long it might run.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"{name} was stopped after {seconds:g} seconds, which is all it may run. Give it more:"
            " timeout=..."
        )
        self.seconds = seconds


class WorkerDied(TasksError, BrokenExecutor):  # noqa: N818  # what it says is what happened
    """The outcome of a job whose worker process died while it ran.

    It is a `concurrent.futures.BrokenExecutor`, but the pool is not broken: it has a new worker.
    """


class JobFailed(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised for the result of a job whose own exception cannot be made again in this process.

    `type` is the exception's class as ``module:name``, `text` its message and `traceback` the
    formatted traceback.
    """

    def __init__(self, type: str, text: str, traceback: str = "") -> None:  # noqa: A002
        super().__init__(f"{type}: {text}")
        self.type = type
        self.text = text
        self.traceback = traceback


class JobLost(TasksError, RuntimeError):  # noqa: N818  # what it says is what happened
    """The outcome of a job that may not be repeated and whose process died while it ran."""


class UnknownJob(TasksError, KeyError):  # noqa: N818  # as the KeyError it is
    """Raised when the ledger has no job with an id: there never was one, or it was purged."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no job {id!r} in the ledger; it may have been purged.")
        self.id = id

    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])


class UnknownTask(TasksError, LookupError):  # noqa: N818  # as the LookupError it is
    """Raised when a job names a task that this process does not know."""


class Unreadable(TasksError, ValueError):  # noqa: N818  # what it says is what happened
    """Raised when what was kept of a value cannot be made into it again: its class is gone."""


class Unserializable(TasksError, TypeError):  # noqa: N818  # as the TypeError of json.dumps
    """Raised when an argument or a result has no JSON form. `path` leads to the value.

    `problem` says what is wrong with it and what to do; by default, that its type is unknown.
    """

    def __init__(self, path: str, value: object, problem: str = "") -> None:
        problem = problem or (
            f"is of type {type(value).__name__}, which has no JSON form. Turn it into a dict,"
            " list, str or number first, make it a dataclass, or teach app.json.default."
        )
        super().__init__(f"{path} {problem}")
        self.path = path


class TaskSetupError(TasksError, ValueError):
    """Raised when a pool, a task or its ledger is set up in a way that cannot work."""


class LedgerError(TasksError, RuntimeError):
    """Raised when the ledger's database could not do what was asked; nothing was changed.

    Its disk is full, say, or another process kept it locked too long. The ledger stays usable: the
    same may be asked again. ``__cause__`` is the database's own error.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"The ledger {where} could not do it: {reason}")
        self.where = where
        self.reason = reason


class MissingExtra(TasksError, ImportError):  # noqa: N818  # as the ImportError it is
    """Raised when a library is missing that an extra of the distribution installs."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more libraries: pip install 'dewar-web[{extra}]'")
        self.extra = extra


class CallbackRefused(TasksError, ValueError):  # noqa: N818  # what it says is what happened
    """Raised when a callback URL may not be called: not HTTP, or an address that is internal."""


class VerificationError(TasksError, ValueError):
    """Raised when a callback that came is not to be believed. Answer it with 400."""

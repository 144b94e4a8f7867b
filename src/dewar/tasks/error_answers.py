"""What an app answers a client whose job was not accepted."""

from dewar.tasks.errors import Duplicate, QueueFull
from dewar.tasks.interface import TasksApp

_Answer = tuple[dict[str, str], int, dict[str, str]]


def register_answers(app: TasksApp) -> None:
    """Have an app answer the errors that are not the client's mistake."""
    app.register_error_handler(QueueFull, _busy)
    app.register_error_handler(Duplicate, _conflict)


def _busy(error: QueueFull) -> _Answer:
    """Answer with 503 Service Unavailable (RFC 9110, 15.6.4)."""
    return {"error": f"{error.what} has too many jobs waiting."}, 503, {"Retry-After": "5"}


def _conflict(error: Duplicate) -> _Answer:
    """Answer with 409 Conflict (RFC 9110, 15.5.10). The other job's id is not the client's."""
    return {"error": f"A job of the task {error.task} with the same key has not ended."}, 409, {}

"""`EngineState`: whether an engine takes jobs; and how it says that it does not."""

from enum import Enum

from dewar.tasks.engines.process_hooks import process_hooks


class EngineState(Enum):
    """Where an engine is in its life. It only moves down."""

    OPEN = "open"
    CLOSED = "closed"
    BROKEN = "broken"


def refusal() -> RuntimeError:
    """Return the error for a job that comes too late; its text begins as concurrent.futures'."""
    when = "interpreter shutdown" if process_hooks.is_exiting else "shutdown"
    return RuntimeError(
        f"cannot schedule new futures after {when}. A pool that was shut down stays so: make"
        " another, or leave the with block only when the last job was submitted."
    )

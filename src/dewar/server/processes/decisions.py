"""What the supervisor's policy decides: the phase of the server, and what is done to a worker."""

from dataclasses import dataclass
from enum import Enum


class SupervisorPhase(Enum):
    """The life of the whole."""

    STARTING = "the first workers load the application"
    SERVING = "all were there once"
    STOPPING = "no worker is replaced any more"


class Action(Enum):
    """What can be done to a worker."""

    FORK = "make one"
    RETIRE = "let it leave while the others go on"
    STOP = "let it finish, with the whole server"
    QUIT = "let it cut what is left"
    ABORT = "let it show its stacks and die"
    KILL = "end it"


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to do. A fork has no *number* yet."""

    action: Action
    number: int = 0
    reason: str = ""

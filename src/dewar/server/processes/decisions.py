"""The decisions of the supervisor's policy: what is done to which worker, and why."""

from dataclasses import dataclass
from enum import Enum


class SupervisorPhase(Enum):
    """The life of the whole server."""

    STARTING = "the first workers load the application"
    SERVING = "all workers have served at least once"
    STOPPING = "workers end and are not replaced"


class Action(Enum):
    """What can be done to a worker."""

    FORK = "start one"
    RETIRE = "end it gracefully while the others serve"
    STOP = "end it gracefully with the whole server"
    QUIT = "end it and cut its connections"
    ABORT = "end it with SIGABRT, which prints its stacks"
    KILL = "end it with SIGKILL"


@dataclass(frozen=True, slots=True)
class Decision:
    """One action on one worker.

    Attributes:
        number: The worker; 0 for a fork.
        reason: Why, for the log; empty for what is not unusual.
    """

    action: Action
    number: int = 0
    reason: str = ""

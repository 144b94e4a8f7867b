"""What the supervisor knows of a worker process: its state, what may follow it, its heartbeat."""

from dataclasses import dataclass
from enum import Enum


class WorkerState(Enum):
    """One worker's state, from its fork until it is reaped."""

    STARTING = "forked, loads the application"
    SERVING = "accepts"
    RETIRING = "leaves new clients to the others, and its own when they are answered"
    STOPPING = "finishes what is in flight, because the whole server stops"
    QUITTING = "cuts what is left"
    ABORTED = "was told to show where it hangs, and to die"
    KILLED = "was killed"
    GONE = "reaped"


_STARTING, _SERVING, _RETIRING = WorkerState.STARTING, WorkerState.SERVING, WorkerState.RETIRING
_STOPPING, _QUITTING = WorkerState.STOPPING, WorkerState.QUITTING
_ABORTED, _KILLED, _GONE = WorkerState.ABORTED, WorkerState.KILLED, WorkerState.GONE

TRANSITIONS: dict[WorkerState, frozenset[WorkerState]] = {
    _STARTING: frozenset({_SERVING, _STOPPING, _QUITTING, _GONE}),
    _SERVING: frozenset({_RETIRING, _STOPPING, _QUITTING, _ABORTED, _GONE}),
    _RETIRING: frozenset({_STOPPING, _QUITTING, _GONE}),
    _STOPPING: frozenset({_QUITTING, _GONE}),
    _QUITTING: frozenset({_KILLED, _GONE}),
    _ABORTED: frozenset({_KILLED, _GONE}),
    _KILLED: frozenset({_GONE}),
    _GONE: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker's heartbeats.

    Attributes:
        beat: When its threads last came back to wait for clients.
        stuck_since: Since when all of them have been inside the application, if they are.
    """

    beat: float
    stuck_since: float | None = None


@dataclass(slots=True)
class WorkerRecord:
    """One worker, as the policy knows it."""

    number: int
    generation: int
    forked: float
    state: WorkerState
    since: float
    wants_replacement: bool = False

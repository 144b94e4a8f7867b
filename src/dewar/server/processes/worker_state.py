"""The states of a worker process, the transitions between them, and what else is known of it."""

from dataclasses import dataclass
from enum import Enum


class WorkerState(Enum):
    """One worker's state, from its fork until it is reaped."""

    STARTING = "forked, loads the application"
    SERVING = "accepts clients"
    RETIRING = "accepts no new clients, and finishes with those it has"
    STOPPING = "finishes requests in flight, because the whole server stops"
    QUITTING = "cuts its connections"
    ABORTED = "got SIGABRT, which prints its stacks and ends it"
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
        beat: When its threads last waited for clients.
        stuck_since: Since when all its threads are inside the application; None if they are not.
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

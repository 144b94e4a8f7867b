"""`SupervisorPolicy`: which workers are forked, retired and killed, and when. No I/O, no clock.

The policy gets events and the time, and returns decisions, each of them once.

One rule is behind reloads, ``max_requests`` and scaling: workers are forked until as many as wanted
are not *outdated*, and workers retire only while more serve than are wanted, outdated ones first.
So a successor always serves before its predecessor stops. If no successor comes to serve,
everything stays as it is.
"""

from collections.abc import Mapping

from dewar.server.errors import ServerStateError
from dewar.server.processes.decisions import Action, Decision, SupervisorPhase
from dewar.server.processes.worker_state import TRANSITIONS, Heartbeat, WorkerRecord, WorkerState
from dewar.support.backoff import Backoff, doubled

#: A process that served this long, in seconds, did not die of its start: it is replaced at once.
SETTLED = 1.0
# The pause after the second quick death in a row, and the longest pause, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
#: The pause after a failed fork, in seconds.
NO_PROCESS_PAUSE = 1.0
# How long an aborted worker may print its stacks before it is killed, in seconds.
_ABORT_GRACE = 1.0
# How long a quitting worker may take, in seconds: its pool needs two to see that threads hang.
_QUIT_GRACE = 4.0
# The longest wait of the supervisor, in seconds: workers beat about once a second.
_LOOK = 1.0
# A supervisor that wakes this many seconds too late was stopped itself, and so were the workers.
_OVERSLEPT = 2.0

_STARTING, _SERVING, _RETIRING = WorkerState.STARTING, WorkerState.SERVING, WorkerState.RETIRING
_STOPPING, _QUITTING = WorkerState.STOPPING, WorkerState.QUITTING
_ABORTED, _KILLED = WorkerState.ABORTED, WorkerState.KILLED
_ACTIVE = frozenset({_STARTING, _SERVING})
_LEAVING = frozenset({_STARTING, _SERVING, _RETIRING, _STOPPING})


def replacement_pause(failures: int) -> float:
    """Return the pause before a process is replaced, after quick deaths in a row."""
    return doubled(_FIRST_PAUSE, failures - 1, _LONGEST_PAUSE) if failures > 1 else 0.0


class SupervisorPolicy:
    """Decides what the supervisor does.

    Args:
        wanted: How many workers there should be.
        worker_timeout: The longest time without a heartbeat, in seconds; 0 for no limit.
        graceful_timeout: How long a worker may take to retire, in seconds.

    Attributes:
        wanted: As above; changed by `grow` and `shrink`.
        generation: The generation of workers forked from now on; a reload starts a new one.
        phase: The life of the whole server.
        worker_failures: How many workers have ended or hung unasked.
        failed: Whether the first start has failed, so that no worker can serve.
        abandoned: How many reloads ended because a successor could not load the application.
    """

    def __init__(self, wanted: int, worker_timeout: float, graceful_timeout: float) -> None:
        self.wanted = wanted
        self.generation = 1
        self.phase = SupervisorPhase.STARTING
        self.worker_failures = 0
        self.failed = False
        self.abandoned = 0
        self._worker_timeout = worker_timeout
        self._graceful_timeout = graceful_timeout
        self._workers: dict[int, WorkerRecord] = {}
        self._backoff = Backoff(replacement_pause)
        self._oldest = 1  # workers of an earlier generation are outdated
        self._deadline = 0.0
        self._overslept_at = 0.0

    def __repr__(self) -> str:
        states = ", ".join(
            f"{worker.number} {worker.state.name}" for worker in self._workers.values()
        )
        return (
            f"<SupervisorPolicy {self.phase.name}, {self.wanted} wanted: {states or 'no worker'}>"
        )

    def state_of(self, number: int) -> WorkerState:
        """Return the state of worker *number*; ``GONE`` if there is none."""
        worker = self._workers.get(number)
        return WorkerState.GONE if worker is None else worker.state

    def is_reloading(self) -> bool:
        """Return whether workers of an earlier generation still wait for their successors."""
        return any(p.generation < self._oldest for p in self._in(_ACTIVE))

    def is_done(self) -> bool:
        """Return whether the server has stopped and the last worker is reaped."""
        return self.phase is SupervisorPhase.STOPPING and not self._workers

    def time_left(self, now: float) -> float:
        """Return the seconds until a stop cuts short what is not finished; 0 without a stop."""
        return max(0.0, self._deadline - now)

    # What has happened.

    def note_forked(self, number: int, now: float) -> None:
        """Note that worker *number* was forked."""
        self._workers[number] = WorkerRecord(number, self.generation, now, _STARTING, now)

    def note_no_fork(self, now: float) -> None:
        """Note that the system cannot fork now."""
        self._backoff.hold(now, NO_PROCESS_PAUSE)

    def note_ready(self, number: int, now: float) -> None:
        """Note that worker *number* accepts clients."""
        worker = self._workers.get(number)
        if worker is None or worker.state is not _STARTING:
            return
        self._move(worker, _SERVING, now)
        if self.phase is SupervisorPhase.STARTING and len(self._in({_SERVING})) >= self.wanted:
            self.phase = SupervisorPhase.SERVING

    def note_wants_replacement(self, number: int) -> None:
        """Note that worker *number* asks to be replaced."""
        worker = self._workers.get(number)
        if worker is not None:
            worker.wants_replacement = True

    def note_gone(self, number: int, now: float) -> bool:
        """Note that worker *number* was reaped; return whether it ended unasked."""
        worker = self._workers.pop(number, None)
        if worker is None or worker.state not in _ACTIVE:
            return False
        self.worker_failures += 1
        if worker.state is _SERVING and now - worker.since >= SETTLED:
            self._backoff.note_success()
        else:
            self._backoff.note_failure(now)
        if worker.state is _STARTING:
            self._note_failed_start(worker, now)
        return True

    def note_oversleep(self, seconds: float, now: float) -> None:
        """Note that the supervisor itself woke *seconds* too late.

        If that is much, a debugger or a frozen container has stopped all processes, and missing
        heartbeats of that time mean nothing.
        """
        if seconds > _OVERSLEPT:
            self._overslept_at = now

    def fail_start(self, now: float) -> None:
        """Note that the first start has failed, and stop."""
        self.failed = True
        self.stop(now, 0.0)

    # What is wanted.

    def reload(self) -> None:
        """Replace all workers, one after the other."""
        self.generation += 1
        self._oldest = self.generation

    def grow(self) -> None:
        """Want one worker more."""
        self.wanted += 1

    def shrink(self) -> bool:
        """Want one worker less; return False if it is the last one, which stays."""
        if self.wanted == 1:
            return False
        self.wanted -= 1
        return True

    def stop(self, now: float, timeout: float) -> None:
        """End all workers, with *timeout* seconds for requests in flight."""
        deadline = now + timeout
        if self.phase is SupervisorPhase.STOPPING:
            deadline = min(deadline, self._deadline)
        self.phase, self._deadline = SupervisorPhase.STOPPING, deadline

    # What is to be done.

    def decide(self, now: float, heartbeats: Mapping[int, Heartbeat]) -> list[Decision]:
        """Return what to do, in this order. The workers' states change as decided."""
        decisions = self._overdue(now)
        if self.phase is SupervisorPhase.STOPPING:
            return decisions + self._stops(now)
        return decisions + self._hung(now, heartbeats) + self._retirements(now) + self._forks(now)

    def wait_time(self, now: float) -> float:
        """Return for how many seconds there is nothing to decide, if nothing happens."""
        times = [now + _LOOK]
        if self._missing() and self._backoff.until > now:
            times.append(self._backoff.until)
        times += [t for worker in self._workers.values() if (t := self._deadline_of(worker))]
        return max(0.0, min(times) - now)

    def _note_failed_start(self, worker: WorkerRecord, now: float) -> None:
        """Act on a worker that could not load the application."""
        if self.phase is SupervisorPhase.STARTING:
            self.fail_start(now)
        elif worker.generation == self._oldest and self.is_reloading():
            # The workers that serve stay.
            self._oldest = min(p.generation for p in self._in(_ACTIVE))
            self.abandoned += 1

    def _hung(self, now: float, heartbeats: Mapping[int, Heartbeat]) -> list[Decision]:
        if not self._worker_timeout:
            return []
        decisions = []
        for worker in self._in({_SERVING}):
            heartbeat = heartbeats.get(worker.number)
            if heartbeat is None:
                continue
            quiet = now - max(heartbeat.beat, worker.since, self._overslept_at)
            stuck = 0.0
            if heartbeat.stuck_since is not None:
                stuck = now - max(heartbeat.stuck_since, self._overslept_at)
            if max(quiet, stuck) > self._worker_timeout:
                what = "no heartbeat" if quiet >= stuck else "no thread back from the app"
                self._move(worker, _ABORTED, now)
                self.worker_failures += 1
                decisions.append(
                    Decision(Action.ABORT, worker.number, f"{what} for {max(quiet, stuck):.1f} s")
                )
        return decisions

    def _overdue(self, now: float) -> list[Decision]:
        decisions = []
        for worker in self._workers.values():
            ends = self._deadline_of(worker)
            if ends is None or now < ends:
                continue
            if worker.state in (_RETIRING, _STOPPING):
                self._move(worker, _QUITTING, now)
                decisions.append(Decision(Action.QUIT, worker.number, "it took too long to finish"))
            else:
                self._move(worker, _KILLED, now)
                decisions.append(Decision(Action.KILL, worker.number, "it does not end"))
        return decisions

    def _deadline_of(self, worker: WorkerRecord) -> float | None:
        if worker.state is _RETIRING:
            return worker.since + self._graceful_timeout
        if worker.state is _STOPPING:
            return self._deadline
        if worker.state is _QUITTING:
            return worker.since + _QUIT_GRACE
        if worker.state is _ABORTED:
            return worker.since + _ABORT_GRACE
        return None

    def _stops(self, now: float) -> list[Decision]:
        quick = now >= self._deadline
        state, action = (_QUITTING, Action.QUIT) if quick else (_STOPPING, Action.STOP)
        decisions = []
        for worker in self._in(_LEAVING - {state}):
            self._move(worker, state, now)
            decisions.append(Decision(action, worker.number))
        return decisions

    def _retirements(self, now: float) -> list[Decision]:
        serving = self._in({_SERVING})
        excess = len(serving) - self.wanted
        if excess <= 0:
            return []
        serving.sort(
            key=lambda worker: (not self._is_outdated(worker), worker.forked, worker.number)
        )
        for worker in serving[:excess]:
            self._move(worker, _RETIRING, now)
        return [Decision(Action.RETIRE, worker.number) for worker in serving[:excess]]

    def _forks(self, now: float) -> list[Decision]:
        if now < self._backoff.until:
            return []
        return [Decision(Action.FORK)] * self._missing()

    def _missing(self) -> int:
        """Return how many workers may be forked beside those that are there."""
        active = self._in(_ACTIVE)
        fresh = sum(not self._is_outdated(worker) for worker in active)
        surge = max(1, self.wanted // 4)
        if len(active) >= self.wanted and len(self._workers) - len(active) > 2 * self.wanted:
            return 0  # many still retire from earlier reloads: let some of them end first
        return max(0, min(self.wanted - fresh, self.wanted + surge - len(active)))

    def _is_outdated(self, worker: WorkerRecord) -> bool:
        return worker.wants_replacement or worker.generation < self._oldest

    def _in(self, states: frozenset[WorkerState] | set[WorkerState]) -> list[WorkerRecord]:
        return [worker for worker in self._workers.values() if worker.state in states]

    def _move(self, worker: WorkerRecord, state: WorkerState, now: float) -> None:
        if state not in TRANSITIONS[worker.state]:
            raise ServerStateError(f"Worker {worker.number} cannot become {state.name}: {self!r}")
        worker.state, worker.since = state, now

"""Who is forked, retired and killed, and when: the supervisor's decisions, without its deeds.

Nothing here touches a process. `Plan` is told what has happened and what the time is, and says
what is to be done; each order is given once.

The one rule behind reloads, ``max_requests`` and scaling: there are as many workers as wanted that
are not *outdated*, forked beside the old ones, and only where more workers serve than are wanted
does one retire, outdated ones first. So a successor always serves before its predecessor stops,
and where no successor comes to serve, everything stays as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dewar.server.errors import ServerStateError
from dewar.server.processes.backoff import Backoff
from dewar.server.processes.state import MOVES, WorkerState

# For a worker that was told to show its stacks and die, in seconds, before it is killed.
_ABORT_GRACE = 1.0
# For one that was told to cut everything: the pool takes two to be sure that threads hang.
_QUIT_GRACE = 4.0
# The longest the supervisor rests: workers beat about once a second.
_LOOK = 1.0
# A supervisor that comes back this much too late was stopped itself, and so were the workers.
_LATE = 2.0

_STARTING, _SERVING, _RETIRING = WorkerState.STARTING, WorkerState.SERVING, WorkerState.RETIRING
_STOPPING, _QUITTING = WorkerState.STOPPING, WorkerState.QUITTING
_ABORTED, _KILLED = WorkerState.ABORTED, WorkerState.KILLED
_ACTIVE = frozenset({_STARTING, _SERVING})
_LEAVING = frozenset({_STARTING, _SERVING, _RETIRING, _STOPPING})


class Phase(Enum):
    """The life of the whole."""

    STARTING = "the first workers load the application"
    SERVING = "all were there once"
    STOPPING = "no worker is replaced any more"


class Deed(Enum):
    """What can be done to a worker."""

    FORK = "make one"
    RETIRE = "let it leave while the others go on"
    STOP = "let it finish, with the whole server"
    QUIT = "let it cut what is left"
    ABORT = "let it show its stacks and die"
    KILL = "end it"


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to do. A fork has no *number* yet."""

    deed: Deed
    number: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """A worker's signs of life.

    Attributes:
        beat: When its threads last came back to wait for clients.
        stuck_since: Since when all of them have been inside the application, if they are.
    """

    beat: float
    stuck_since: float | None = None


@dataclass(slots=True)
class Post:
    """One worker in the plan."""

    number: int
    generation: int
    forked: float
    state: WorkerState
    since: float
    wants_out: bool = False


class Plan:
    """What the supervisor means to do.

    Args:
        wanted: How many workers there are to be.
        worker_timeout: Seconds without a sign of life; 0 for any number.
        graceful_timeout: Seconds that a worker gets to retire.

    Attributes:
        wanted: As above; changed by `grow` and `shrink`.
        generation: That of the workers forked from now on; a reload begins a new one.
        phase: The life of the whole.
        deaths: Workers that ended without being asked to.
        failed: Whether the first start failed, so that there is nothing to serve with.
        abandoned: Reloads that were given up, because a successor could not load the application.
    """

    def __init__(self, wanted: int, worker_timeout: float, graceful_timeout: float) -> None:
        self.wanted = wanted
        self.generation = 1
        self.phase = Phase.STARTING
        self.deaths = 0
        self.failed = False
        self.abandoned = 0
        self._worker_timeout = worker_timeout
        self._graceful_timeout = graceful_timeout
        self._posts: dict[int, Post] = {}
        self._backoff = Backoff()
        self._oldest = 1  # workers of an earlier generation are outdated
        self._deadline = 0.0
        self._excused = 0.0

    def __repr__(self) -> str:
        states = ", ".join(f"{post.number} {post.state.name}" for post in self._posts.values())
        return f"<Plan {self.phase.name}, {self.wanted} wanted: {states or 'no worker'}>"

    def state_of(self, number: int) -> WorkerState:
        """Return what worker *number* is doing; ``GONE`` where there is none."""
        post = self._posts.get(number)
        return WorkerState.GONE if post is None else post.state

    def is_reloading(self) -> bool:
        """Return whether workers of an earlier generation still wait for their successors."""
        return any(p.generation < self._oldest for p in self._in(_ACTIVE))

    def is_done(self) -> bool:
        """Return whether the server has stopped and the last worker is reaped."""
        return self.phase is Phase.STOPPING and not self._posts

    # What has happened.

    def note_forked(self, number: int, now: float) -> None:
        """Worker *number* was made."""
        self._posts[number] = Post(number, self.generation, now, _STARTING, now)

    def note_no_fork(self, now: float) -> None:
        """The system has no process to give."""
        self._backoff.hold(now)

    def note_ready(self, number: int, now: float) -> None:
        """Worker *number* accepts."""
        post = self._posts.get(number)
        if post is None or post.state is not _STARTING:
            return
        self._move(post, _SERVING, now)
        if self.phase is Phase.STARTING and len(self._in({_SERVING})) >= self.wanted:
            self.phase = Phase.SERVING

    def note_wants_out(self, number: int) -> None:
        """Worker *number* asks to be replaced."""
        post = self._posts.get(number)
        if post is not None:
            post.wants_out = True

    def note_gone(self, number: int, now: float) -> bool:
        """Worker *number* was reaped; tell whether nobody had asked it to end."""
        post = self._posts.pop(number, None)
        if post is None or post.state not in _ACTIVE:
            return False
        self.deaths += 1
        self._backoff.note_death(now, now - post.since if post.state is _SERVING else 0.0)
        if post.state is _STARTING:
            self._give_up_on(post, now)
        return True

    def note_late(self, seconds: float, now: float) -> None:
        """The supervisor itself came back *seconds* later than it meant to.

        Where that is much, all processes were stopped, by a debugger or a frozen container, and
        the workers' silence meanwhile says nothing.
        """
        if seconds > _LATE:
            self._excused = now

    def give_up(self, now: float) -> None:
        """The first start has failed for another reason than a worker's."""
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
        """Want one worker less; tell whether there is one that can be done without."""
        if self.wanted == 1:
            return False
        self.wanted -= 1
        return True

    def stop(self, now: float, timeout: float) -> None:
        """End all workers, with *timeout* seconds for what is in flight."""
        deadline = now + timeout
        if self.phase is Phase.STOPPING:
            deadline = min(deadline, self._deadline)
        self.phase, self._deadline = Phase.STOPPING, deadline

    # What is to be done.

    def decide(self, now: float, signs: Mapping[int, Sign]) -> list[Order]:
        """Return what to do, in this order. A worker's state is moved along with its order."""
        orders = self._overdue(now)
        if self.phase is Phase.STOPPING:
            return orders + self._stops(now)
        return orders + self._hung(now, signs) + self._retirements(now) + self._forks(now)

    def rest(self, now: float) -> float:
        """Return for how many seconds there is nothing to decide, if nothing happens."""
        times = [now + _LOOK]
        if self._missing() and self._backoff.until > now:
            times.append(self._backoff.until)
        times += [t for post in self._posts.values() if (t := self._patience_ends(post))]
        return max(0.0, min(times) - now)

    def _give_up_on(self, post: Post, now: float) -> None:
        """Act on a worker that could not load the application."""
        if self.phase is Phase.STARTING:
            self.give_up(now)
        elif post.generation == self._oldest and self.is_reloading():
            # Those that serve know how to; they stay.
            self._oldest = min(p.generation for p in self._in(_ACTIVE))
            self.abandoned += 1

    def _hung(self, now: float, signs: Mapping[int, Sign]) -> list[Order]:
        if not self._worker_timeout:
            return []
        orders = []
        for post in self._in({_SERVING}):
            sign = signs.get(post.number)
            if sign is None:
                continue
            quiet = now - max(sign.beat, post.since, self._excused)
            stuck = 0.0
            if sign.stuck_since is not None:
                stuck = now - max(sign.stuck_since, self._excused)
            if max(quiet, stuck) > self._worker_timeout:
                what = "no sign of life" if quiet >= stuck else "no thread back from the app"
                self._move(post, _ABORTED, now)
                self.deaths += 1
                orders.append(
                    Order(Deed.ABORT, post.number, f"{what} for {max(quiet, stuck):.1f} s")
                )
        return orders

    def _overdue(self, now: float) -> list[Order]:
        orders = []
        for post in self._posts.values():
            ends = self._patience_ends(post)
            if ends is None or now < ends:
                continue
            if post.state in (_RETIRING, _STOPPING):
                self._move(post, _QUITTING, now)
                orders.append(Order(Deed.QUIT, post.number, "it took too long to finish"))
            else:
                self._move(post, _KILLED, now)
                orders.append(Order(Deed.KILL, post.number, "it does not end"))
        return orders

    def _patience_ends(self, post: Post) -> float | None:
        if post.state is _RETIRING:
            return post.since + self._graceful_timeout
        if post.state is _STOPPING:
            return self._deadline
        if post.state is _QUITTING:
            return post.since + _QUIT_GRACE
        if post.state is _ABORTED:
            return post.since + _ABORT_GRACE
        return None

    def _stops(self, now: float) -> list[Order]:
        quick = now >= self._deadline
        state, deed = (_QUITTING, Deed.QUIT) if quick else (_STOPPING, Deed.STOP)
        orders = []
        for post in self._in(_LEAVING - {state}):
            self._move(post, state, now)
            orders.append(Order(deed, post.number))
        return orders

    def _retirements(self, now: float) -> list[Order]:
        serving = self._in({_SERVING})
        excess = len(serving) - self.wanted
        if excess <= 0:
            return []
        serving.sort(key=lambda post: (not self._is_outdated(post), post.forked, post.number))
        for post in serving[:excess]:
            self._move(post, _RETIRING, now)
        return [Order(Deed.RETIRE, post.number) for post in serving[:excess]]

    def _forks(self, now: float) -> list[Order]:
        if now < self._backoff.until:
            return []
        return [Order(Deed.FORK)] * self._missing()

    def _missing(self) -> int:
        """Return how many workers may be forked beside those that are there."""
        active = self._in(_ACTIVE)
        fresh = sum(not self._is_outdated(post) for post in active)
        surge = max(1, self.wanted // 4)
        if len(active) >= self.wanted and len(self._posts) - len(active) > 2 * self.wanted:
            return 0  # reloads come more quickly than clients leave: let some go first
        return max(0, min(self.wanted - fresh, self.wanted + surge - len(active)))

    def _is_outdated(self, post: Post) -> bool:
        return post.wants_out or post.generation < self._oldest

    def _in(self, states: frozenset[WorkerState] | set[WorkerState]) -> list[Post]:
        return [post for post in self._posts.values() if post.state in states]

    def _move(self, post: Post, state: WorkerState, now: float) -> None:
        if state not in MOVES[post.state]:
            raise ServerStateError(f"Worker {post.number} cannot become {state.name}: {self!r}")
        post.state, post.since = state, now

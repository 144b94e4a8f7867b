"""The targets group: how fast Dewar is compared with each peer, and how fast it should be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench import table
from bench.apps.raw import BODY
from bench.contestants import THREADS, Contestants
from bench.generator import Generator, ScriptGenerator
from bench.macro import coroutines, processes, startup, throughput
from bench.macro.rounds import Result, Target
from bench.micro.rows import request_rows
from bench.run import Run, ScriptFailedError
from bench.servers import Contestant
from bench.stats import median, ratio
from bench.table import Row

GROUP = "targets: Dewar as a multiple of a peer, median of paired rounds"
DEWAR = "Dewar"
ANY_ASYNC = "FastAPI", "BlackSheep", "Litestar", "Sanic", "Robyn"
#: The figures of each contestant, by round, of one measurement.
Rounds = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a ratio should be.

    Attributes:
        peers: Starts of names: the best of all contestants with one of them is compared.
        least: The smallest ratio that reaches it.
        most: The largest ratio that reaches it.
    """

    peers: tuple[str, ...]
    least: float | None = None
    most: float | None = None

    def is_reached(self, found: float) -> bool:
        """Return whether a ratio is good enough."""
        if self.least is not None:
            return found >= self.least
        return self.most is None or found <= self.most

    def __str__(self) -> str:
        if self.least is not None:
            return f"at least {self.least:g}"
        return "" if self.most is None else f"at most {self.most:g}"


@dataclass(frozen=True, kw_only=True)
class OverWire:
    """A request that all contestants get over the wire.

    Attributes:
        generator: Returns what sends the load instead of the usual generator.
    """

    title: str
    path: str
    expected: bytes
    contestants: Callable[[Contestants], list[Contestant]]
    goals: tuple[Goal, ...]
    generator: Callable[[Generator], Generator] | None = None


def _frameworks(made: Contestants) -> list[Contestant]:
    flask, falcon = "bench.apps.flask_app:app", "bench.apps.falcon_app:app"
    return [
        made.dewar("bench.apps.dewar_app:app", THREADS, DEWAR),
        made.fastpysgi(falcon, "Falcon + fastpysgi"),
        made.granian(flask, THREADS, "Flask + granian"),
        made.gunicorn(flask, THREADS, "Flask + gunicorn gthread"),
        *made.asynchronous(),
    ]


def _servers(made: Contestants) -> list[Contestant]:
    app = "bench.apps.raw:app"
    return [made.dewar(app, THREADS), made.fastpysgi(app), made.granian(app, THREADS)]


def _fresh(usual: Generator) -> Generator:
    return ScriptGenerator(machine=usual.machine, wrk=usual.wrk, script="fresh")


OVER_WIRE = (
    OverWire(
        title="GET /",
        path="/",
        expected=BODY,
        contestants=_frameworks,
        goals=(
            Goal(peers=("Falcon + fastpysgi",), least=1.0),
            Goal(peers=("Flask + gunicorn",), least=20.0),
            Goal(peers=("Flask + granian",), least=8.0),
            Goal(peers=ANY_ASYNC, least=1.5),
        ),
    ),
    OverWire(
        title="GET /user/<int>?q=",
        path="/user/42?q=tea",
        expected=b"42 GET tea",
        contestants=_frameworks,
        goals=(
            Goal(peers=("Falcon + fastpysgi",), least=0.9),
            Goal(peers=("Flask + gunicorn",)),
            Goal(peers=("Flask + granian",)),
            Goal(peers=ANY_ASYNC, least=1.5),
        ),
    ),
    OverWire(
        title="raw WSGI",
        path="/",
        expected=BODY,
        contestants=_servers,
        goals=(
            Goal(peers=("fastpysgi",), least=0.95),
            Goal(peers=("granian",), least=1.3),
        ),
    ),
    OverWire(
        title="raw WSGI, no field twice",
        path="/",
        expected=BODY,
        contestants=_servers,
        goals=(Goal(peers=("fastpysgi",)), Goal(peers=("granian",), least=1.0)),
        generator=_fresh,
    ),
)
#: By the name of the case; as speeds, so that a larger ratio is better everywhere.
IN_PROCESS = {
    "/": (Goal(peers=("Falcon",), least=1.11), Goal(peers=("Flask",))),
    "/json": (Goal(peers=("Falcon",), least=1.49), Goal(peers=("Flask",))),
    "/user/42?q=tea": (Goal(peers=("Falcon",), least=1.0), Goal(peers=("Flask",))),
    "session, written": (Goal(peers=("Flask",), least=3.0),),
    "3 + 2 hooks, nested blueprint": (Goal(peers=("Flask",), least=8.0),),
}
_OTHER_CASES = Goal(peers=("Falcon",)), Goal(peers=("Flask",))


def measure(run: Run) -> tuple[list[Row], Any]:
    """Measure all, and return the rows of the measurements before those of the targets."""
    rows: list[Row] = []
    goals: list[Row] = []
    raw: dict[str, Any] = {}
    for one in OVER_WIRE:
        results = run.arena.measure(one.contestants(run.contestants), _target(run, one))
        rows += throughput.rows(f"{one.title}, one core", results, DEWAR)
        goals += goal_rows(one.title, rates(results), one.goals)
        raw[one.title] = [asdict(result) for result in results]
    for part in (_in_process, _processes, _beside, _startup):
        its_rows, its_goals, its_raw = part(run)
        rows, goals, raw = [*rows, *its_rows], [*goals, *its_goals], {**raw, **its_raw}
    return [*rows, *goals], raw


def _target(run: Run, one: OverWire) -> Target:
    plan = run.plan
    return Target(
        path=one.path,
        expected=one.expected,
        connections=plan.connections,
        rounds=plan.server_rounds,
        seconds=plan.server_seconds,
        warm_seconds=plan.warm_seconds,
        generator=one.generator(run.arena.generator) if one.generator else None,
    )


Part = tuple[list[Row], list[Row], dict[str, Any]]


def _in_process(run: Run) -> Part:
    rows, goals, raw = [], [], {}
    for suite in ("basic", "parts"):
        arguments = [*run.plan.arguments("request"), "--suite", suite]
        try:
            found = run.script("bench.micro.in_process", arguments)
        except ScriptFailedError as error:
            rows.append(table.failed("in process", suite, str(error)))
            continue
        rows += request_rows(found["figures"], found["failures"])
        raw[suite] = found
        for case, times in found["figures"].items():
            speeds = {name: [1 / took for took in rounds] for name, rounds in times.items()}
            goals += goal_rows(f"in process, {case}", speeds, IN_PROCESS.get(case, _OTHER_CASES))
    return rows, goals, raw


def _processes(run: Run) -> Part:
    ours = [one for one in run.contestants.processes() if one.name.startswith(DEWAR)]
    rows, results = processes.measured(run.arena, ours, run.plan)
    one, two = (result.name for result in results)
    goal = Goal(peers=(one,), least=1.9)
    return rows, goal_rows("two processes on two cores", rates(results), (goal,), two), {}


def _beside(run: Run) -> Part:
    ours = run.contestants.dewar(coroutines.ASYNC, THREADS)
    results = coroutines.crowd(run.arena, ours, run.plan)
    _, alone, beside = results
    quiet = coroutines.waiting(run.arena, ours, run.plan)
    count = f"{run.plan.crowd:,}"
    return (
        coroutines.crowd_rows(run.plan.crowd, results),
        [
            *_p99_rows(f"p99 of a quick view beside {count} waiting coroutines", *quiet),
            *_p99_rows(f"p99 of a quick view while {count} coroutines go on", alone, beside),
        ],
        {},
    )


def _p99_rows(title: str, alone: Result, beside: Result) -> list[Row]:
    times = {} if beside.failure else {
        result.name: [shot.p99_ms for shot in result.shots] for result in (alone, beside)
    }  # fmt: skip
    goal = Goal(peers=(alone.name,), most=2.0)
    return goal_rows(title, times, (goal,), beside.name)


def _startup(run: Run) -> Part:
    rows, starts = startup.measure(run.arena, run.contestants, run.plan)
    imports, servers = starts[:2], starts[2:]
    figures = {
        "import": {one.name: one.seconds for one in imports if not one.failure},
        "first answer": {one.name: one.seconds for one in servers if not one.failure},
        "memory of a worker": {one.name: one.workers for one in servers if not one.failure},
    }
    goals = []
    for title, rounds in figures.items():
        for ours in (one.name for one in starts if one.name.startswith(DEWAR)):
            peer = ours.replace(DEWAR, startup.PEER if "," in ours else "Flask")
            if ours in rounds:
                goals += goal_rows(title, rounds, (Goal(peers=(peer,), most=1.0),), ours)
    return rows, goals, {"startup": [asdict(one) for one in starts]}


def rates(results: Iterable[Result]) -> dict[str, list[float]]:
    """Return the rate of each round, by the name of the server, without those that failed."""
    return {
        result.name: [shot.rate for shot in result.shots]
        for result in results
        if not result.failure
    }


def goal_rows(title: str, rounds: Rounds, goals: Sequence[Goal], subject: str = DEWAR) -> list[Row]:
    """Return a row for each goal: the ratio, and whether it is what it should be.

    Args:
        title: What was measured.
        rounds: The figures of all contestants, by round.
        goals: With which of them the subject is compared.
        subject: The start of the subject's name.
    """
    ours = next((name for name in rounds if name.startswith(subject)), None)
    return [_goal_row(title, rounds, goal, ours) for goal in goals]


def _goal_row(title: str, rounds: Rounds, goal: Goal, ours: str | None) -> Row:
    found = [name for name in rounds if name.startswith(goal.peers) and name != ours]
    if ours is None or not found:
        missing = f"no figure of {goal.peers[0] if ours else DEWAR}"
        return table.failed(GROUP, title, missing)
    best = max(found, key=lambda name: median(rounds[name]))
    pairs = zip(rounds[ours], rounds[best], strict=False)
    paired = median([share for one, other in pairs if (share := ratio(one, other)) is not None])
    verdict = "reached" if goal.is_reached(paired) else "missed"
    note = f"{goal}: {verdict}" if str(goal) else "no target"
    peer = best if len(goal.peers) == 1 else f"{best}, the fastest of its kind"
    return Row(group=GROUP, what=f"{title} ÷ {peer}", figure=paired, unit="x", note=note)

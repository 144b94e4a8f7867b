"""What is measured at each value of a curve, and the points that are made of it."""

import sys
from dataclasses import replace

import pytest
from bench.curves import figure
from bench.curves.catalogue import CURVES
from bench.curves.curve import Curve, InProcess, OtherServers, OverWire, usual
from bench.curves.figure import Figure, Point, Series
from bench.generator import EchoGenerator, Generator, ScriptGenerator
from bench.machine import Machine
from bench.macro.rounds import Arena, Result, Target
from bench.run import Run, ScriptFailedError
from bench.servers import Contestant
from bench.shot import Shot
from bench.venv import BenchVenv

from bench import plan

PINNED = Machine(cores=(0, 1), taskset="taskset")


class CountingArena(Arena):
    """Measures nothing: the rate of a contestant is its number of connections."""

    def sweep(self, contestants, targets):
        return [[result(one.name, target.connections) for one in contestants] for target in targets]


class ScriptRun(Run):
    """Runs no script: its output is that of the test."""

    def script(self, name, arguments):
        if name == "broken":
            raise ScriptFailedError("no module named x")
        return {"figures": {"Dewar": {"1": [3.0, 1.0, 2.0]}}, "failures": {"x": {"": name}}}


@pytest.fixture
def run(tmp_path):
    """A run in which nothing is started."""
    generator = Generator(machine=PINNED, wrk="/usr/bin/wrk")
    arena = CountingArena(machine=PINNED, generator=generator, root=tmp_path)
    venv = BenchVenv(root=tmp_path, folder=tmp_path)
    return ScriptRun(venv=venv, arena=arena, plan=plan.QUICK)


def result(name, *rates, failure=""):
    """Return a result with one shot for each rate."""
    shots = [Shot(rate=rate, p99_ms=1.5) for rate in rates]
    return Result(name=name, shots=shots, failure=failure)


def test_results_of_one_server_are_one_series():
    """Whatever its name says about threads; a failed one is a missing point with its reason."""
    columns = [
        (1, [result("Dewar, 1 thread", 5.0)]),
        (8, [result("Dewar, 8 threads", failure="Too many\nopen files")]),
    ]
    (series,) = figure.from_results(columns)
    assert series.name == "Dewar"
    assert series.known == [(1, 5.0)]
    assert series.points[1].note == "missing: Too many open files"
    (idle,) = figure.from_results([(1, [result("waitress", 0.0)])])
    assert idle.points[0].note == "missing: no response was complete in time"


def test_a_latency_of_nothing_is_missing():
    """A view that had no response in time has a 99th percentile of 0."""
    found = Result(name="Quart", shots=[Shot(rate=0.0, p99_ms=0.0)])
    assert figure.measured(5000, found, [0.0]).y is None


def test_the_median_of_the_rounds_is_a_point():
    """Of what a script printed; a value without figures is missing, with the reason if known."""
    raw = {
        "figures": {"Dewar": {"1": [3.0, 1.0, 2.0], "10": [4.0]}, "Flask": {"1": [9.0]}},
        "failures": {"Flask": {"10": "too slow"}, "RQ": {"": "not installed"}},
    }
    dewar, flask, rq = figure.from_rounds([1, 10, 100], raw)
    assert dewar.known == [(1, 2.0), (10, 4.0)]
    assert [point.note for point in flask.points][1:] == [
        "missing: too slow",
        "missing: not measured",
    ]
    assert {point.note for point in rq.points} == {"missing: not installed"}


def test_notes_name_missing_points_first_and_equal_remarks_once():
    """A reader sees where a curve cannot be trusted."""
    points = (
        Point(x=1, y=2.0, note="3 errors, unsteady: rounds 54% apart"),
        Point(x=1000, y=2.0, note="unsteady: rounds 31% apart"),
    )
    lost = Series(name="granian", points=(Point(x=1, y=None, note="missing: died"),))
    drawn = Figure(
        name="x",
        title="",
        x_label="",
        y_label="",
        series=(Series(name="Dewar", points=points), lost),
    )
    assert drawn.notes == [
        "granian at 1: missing: died",
        "Dewar at 1: 3 errors",
        "Dewar at 1 and 1,000: unsteady",
    ]


def test_the_latencies_are_a_figure_of_their_own():
    """With the same points."""
    series = figure.from_results([(1, [result("Dewar", 5.0)])])
    made = Figure(name="c", title="C", x_label="x", y_label="y", series=series).latencies()
    assert (made.name, made.y_label) == ("c-p99", "99th percentile, ms")
    assert made.series[0].known == [(1, 1.5)]


def test_a_load_is_measured_at_each_value(run):
    """On servers that are started once."""
    measure = OverWire(
        contestants=lambda run: [run.contestants.dewar("app", 8)],
        target=lambda _run, target, value: replace(target, connections=value),
        scale=lambda rate, value: rate + value,
    )
    (series,) = measure(run, [1, 10])
    assert (series.name, series.known) == ("Dewar", [(1, 2), (10, 20)])
    assert series.points[1].rounds == (20,)


def test_servers_are_started_for_each_value(run):
    """And are the same series."""
    measure = OtherServers(
        contestants=lambda run, value: [run.contestants.dewar("app", value)],
        target=lambda _run, target, value: replace(target, connections=2 * value),
    )
    (series,) = measure(run, [1, 4])
    assert series.known == [(1, 2), (4, 8)]


def test_a_script_gives_a_series_for_each_contestant(run):
    """A script that failed is a series that is missing everywhere."""
    dewar, _ = InProcess(script="some")(run, [1])
    assert dewar.known == [(1, 2.0)]
    (broken,) = InProcess(script="broken")(run, [1, 2])
    assert [point.note for point in broken.points] == ["missing: no module named x"] * 2


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_a_curve_has_fewer_values_if_it_is_quick(curve: Curve):
    """In order, and among all of its values."""
    assert list(curve.values) == sorted(set(curve.values))
    assert set(curve.quick) <= set(curve.values)
    assert len(curve.quick) <= len(curve.values)


@pytest.mark.parametrize(
    "curve", [one for one in CURVES if isinstance(one.measure, OverWire)], ids=lambda one: one.name
)
def test_the_load_of_a_curve_differs_with_the_value(run, curve: Curve):
    """In its connections, its path or what it sends."""
    loads = [curve.measure.target(run, usual(run), value) for value in curve.values]
    assert len({(one.connections, one.path, one.generator) for one in loads}) == len(loads)


def test_names_of_curves_are_unique():
    """They are names of files."""
    names = [curve.name for curve in CURVES]
    assert len(names) == len(set(names))


def test_a_script_of_wrk_gets_its_arguments():
    """After the address; without wrk the reason is told instead of a rate."""
    made = ScriptGenerator(machine=PINNED, wrk="wrk", script="upload", arguments=("10",))
    command = made._command(80, "/up", 2, 1)
    assert command[-2:] == ["--", "10"]
    assert command[command.index("--script") + 1].endswith("lua/upload.lua")
    with pytest.raises(RuntimeError, match="needs wrk"):
        replace(made, wrk=None).fire(80, "/up", 2, 1)


def test_options_stand_before_the_application():
    """Some servers take none behind it."""
    server = Contestant(name="x", command=("serve", "app"))
    assert server.plus("--limit", "5").command == ("serve", "--limit", "5", "app")


class OwnGenerator(Generator):
    """Is busy with nothing, and remembers its targets."""

    def fire(self, port, path, connections, seconds):
        return Shot(rate=float(connections), p99_ms=1.0)


def test_a_server_is_started_once_for_all_targets(tmp_path):
    """A target that it fails is a failed result, and the next target is measured."""
    server = (
        "import http.server, socketserver\n"
        "class Path(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.send_header('Content-Length', str(len(self.path)))\n"
        "        self.end_headers()\n"
        "        self.wfile.write(self.path.encode())\n"
        "http.server.HTTPServer(('127.0.0.1', {port}), Path).serve_forever()\n"
    )
    free = Machine(cores=(0,), taskset=None)
    arena = Arena(machine=free, generator=OwnGenerator(machine=free, wrk=None), root=tmp_path)
    contestants = [
        Contestant(name="echo", command=(sys.executable, "-c", server)),
        Contestant(
            name="broken", command=(sys.executable, "-c", "raise SystemExit('no such app')")
        ),
    ]
    other = OwnGenerator(machine=free, wrk=None)
    targets = [
        replace(_target("/a", b"/a"), connections=3),
        _target("/a", b"something else"),
        replace(_target("/b", b"/b"), connections=7, generator=other),
    ]
    columns = arena.sweep(contestants, targets)
    assert [column[0].rate for column in columns] == [3.0, None, 7.0]
    assert "instead of 200" in columns[1][0].failure
    assert {column[1].failure for column in columns} == {"no such app"}


def _target(path, expected):
    return Target(path=path, expected=expected, connections=1, rounds=1, seconds=1)


def test_arenas_without_pinning_use_all_cores(tmp_path):
    """For the servers and for the load."""
    usual_one = Generator(machine=PINNED, wrk="wrk")
    arena = Arena(machine=PINNED, generator=usual_one, root=tmp_path).without_pinning()
    assert arena.machine.pin_server() == arena.generator.machine.pin_load() == []
    assert EchoGenerator(machine=arena.machine, size=1).wrk is None

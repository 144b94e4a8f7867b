"""How starts and memory are measured, and the rows that are made of it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from bench.macro import startup, targets
from bench.macro.startup import Start
from bench.memory import Footprint
from bench.servers import Contestant, Server, ServerFailedError

from bench import memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ROLLUP = """\
55d0c0a00000-7ffd3b7f5000 ---p 00000000 00:00 0                          [rollup]
Rss:               20480 kB
Pss:               10240 kB
Shared_Clean:       9216 kB
Private_Clean:      1024 kB
Private_Dirty:      4096 kB
"""
ANSWER = "HTTP/1.1 200 OK\\r\\nContent-Length: 13\\r\\n\\r\\nHello, World!"
#: A server that forks one process, in which it answers.
FORKING = f"""
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if os.fork():
    os.wait()
while True:
    client, _ = listener.accept()
    while client.recv(65536):
        client.sendall(b"{ANSWER}")
"""


def test_the_memory_of_a_process_is_read_in_mib() -> None:
    """The pages of its own are clean or changed."""
    assert memory.parse(ROLLUP) == Footprint(rss=20, pss=10, uss=5)


@linux
def test_a_process_has_a_family() -> None:
    """Itself, its children, and theirs; each with its memory."""
    inner = "import sys; print(flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    command = [sys.executable, "-c", outer]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # leaving it closes the pipes: both end
        assert process.stdout is not None
        process.stdout.readline()
        parent, child = memory.family(process.pid)
        assert (parent, memory.children(parent)) == (process.pid, [child])
        found = memory.footprint(child)
        assert found.rss >= found.pss >= found.uss > 1


@linux
def test_a_start_is_measured_until_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the memory of the process that answers, and of both together."""
    monkeypatch.setattr(startup, "_CONNECTIONS", 1)
    command = (sys.executable, "-c", FORKING, "{port}")
    start, arena = Start(name="x"), SimpleNamespace(root=".")
    for _ in range(2):
        startup._start(start, Contestant(name="x", command=command), arena)  # type: ignore[arg-type]
    assert start.failure == ""
    assert len(start.seconds) == len(start.workers) == len(start.totals) == 2
    assert all(0.005 < took < 60 for took in start.seconds)
    assert start.shown is not None
    assert start.shown.uss < start.shown.pss < min(start.totals)


def test_a_server_that_does_not_start_says_why() -> None:
    """It is not started again."""
    start, arena = Start(name="x"), SimpleNamespace(root=".")
    command = (sys.executable, "-c", "raise SystemExit('no such app')")
    for _ in range(2):
        startup._start(start, Contestant(name="x", command=command), arena)  # type: ignore[arg-type]
    assert (start.failure, start.seconds) == ("no such app", [])
    assert [row.note for row in startup.rows([start])] == ["failed: no such app"] * 3


def test_the_command_of_a_server_is_looked_at_as_often_as_is_said() -> None:
    """Its process is known while it runs."""
    server = Server(
        contestant=Contestant(name="x", command=(sys.executable, "-c", "")),
        folder=".",  # type: ignore[arg-type]
        environment={},
        look=0.001,
    )
    assert server.pid == 0
    with pytest.raises(ServerFailedError, match="nothing logged"):
        server.__enter__()


def starts() -> list[Start]:
    """Return two of each: Dewar is quicker in two of three rounds, and smaller."""
    sizes = {"workers": [10.0] * 3, "totals": [30.0] * 3}
    shown = Footprint(rss=40, pss=15, uss=10)
    more = {"workers": [20.0] * 3, "totals": [40.0] * 3}
    return [
        Start(name="Dewar, 1 process", seconds=[0.3, 0.4, 0.9], shown=shown, **sizes),
        Start(name="Flask + gunicorn, 1 process", seconds=[0.6, 0.5, 0.6], **more),
        Start(name="Dewar, 2 processes", failure="no"),
        Start(name="Flask + gunicorn, 2 processes", seconds=[0.5], workers=[9], totals=[9]),
    ]


def test_a_start_is_compared_with_the_peer_of_the_same_round() -> None:
    """And of the same number of processes; the median of these ratios is shown."""
    rows = startup.rows(starts())
    answers = [row for row in rows if row.group == startup.ANSWER]
    assert [row.figure for row in answers] == [400.0, 600.0, None, 500.0]
    assert [row.ratio for row in answers] == [pytest.approx(0.8), None, None, None]
    assert answers[0].baseline == "Flask + gunicorn, 1 process"
    (worker, *_) = [row for row in rows if row.group == startup.WORKER]
    assert (worker.figure, worker.ratio, worker.note) == (10.0, 0.5, "RSS 40.0, PSS 15.0")


def test_an_import_is_compared_with_flasks() -> None:
    """Of the same round, too."""
    ours, theirs = Start(name="Dewar", seconds=[0.1, 0.3]), Start(name="Flask", seconds=[0.2, 0.2])
    rows = startup.import_rows([ours, theirs])
    assert [(row.what, row.figure, row.ratio) for row in rows] == [
        ("Dewar", pytest.approx(200), pytest.approx(1.0)),
        ("Flask", pytest.approx(200), None),
    ]


def test_the_targets_are_for_each_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And for the import."""
    imports = [Start(name="Dewar", seconds=[0.3]), Start(name="Flask", seconds=[0.2])]
    monkeypatch.setattr(startup, "measure", lambda *_: ([], [*imports, *starts()]))
    run = SimpleNamespace(arena=None, contestants=None, plan=None)
    _, goals, raw = targets._startup(run)  # type: ignore[arg-type]
    assert [(row.what, row.note) for row in goals] == [
        ("import ÷ Flask", "at most 1: missed"),
        ("first answer ÷ Flask + gunicorn, 1 process", "at most 1: reached"),
        ("memory of a worker ÷ Flask + gunicorn, 1 process", "at most 1: reached"),
    ]
    assert len(raw["startup"]) == 6

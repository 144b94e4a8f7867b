"""Real processes that are killed, stopped, reloaded and left alone; every response is counted."""

import os
import signal
import sys
import threading
from itertools import product
from pathlib import Path

import pytest

from faulttools import COMMON, Load, Running, gate, is_alive, running, until_refused
from polling import eventually
from servertools import Client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")

TWO = "processes=2, threads=4, graceful_timeout=20"


@pytest.mark.parametrize("keeps", [True, False], ids=["keep-alive", "close"])
def test_a_reload_under_load_fails_no_request(keeps: bool) -> None:
    """Each successor accepts before its predecessor stops, and nobody is cut off."""
    with running(TWO) as server, Load(server.address, 8, keeps) as load:
        load.wait_more(200)
        for _ in range(2):
            former = set(server.workers())
            server.send(signal.SIGHUP)
            load.wait_until(server.without(*former))
            load.wait_more(50)
        assert load.failures == []
        assert len(server.workers()) == 2


def test_an_idle_connection_outlives_a_reload_for_one_more_request() -> None:
    """It is told with that answer that it ends; then the worker goes."""
    with running(TWO) as server:
        client = server.client()
        pid = int(client.get("/pid")[2])
        former = set(server.workers())
        server.send(signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - former) == 2)
        eventually(lambda: set(server.workers()) & former == {pid})
        fields: dict[bytes, bytes] = {}
        while not fields or b"connection" not in fields:  # its order may be on its way still
            _, fields, body = client.get("/pid")
            assert int(body) == pid
        assert fields[b"connection"] == b"close"
        assert client.is_closed()
        eventually(server.without(pid))
        client.close()


def test_a_killed_worker_is_replaced_and_costs_its_own_requests_alone(tmp_path: Path) -> None:
    """The other one's go on; who is idle or comes anew is not concerned."""
    with running(TWO) as server, gate(tmp_path) as (path, release):
        # Three requests in each worker, which has four threads.
        of: dict[int, list[Client]] = {pid: [] for pid in server.workers()}
        while min(map(len, of.values())) < 3:
            client = server.client()
            of[int(client.get("/pid")[2])].append(client)
        held = [(pid, client) for pid, clients in of.items() for client in clients[:3]]
        for n, (pid, client) in enumerate(held, 1):
            client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert int(server.wait_line("held", n).split()[1]) == pid
        victim = held[0][0]
        os.kill(victim, signal.SIGKILL)
        server.wait_line(f"process {victim}) was killed by SIGKILL")
        eventually(lambda: len(server.workers()) == 2)
        assert server.ask() == "here"
        release()
        for pid, client in held:
            if pid == victim:
                assert client.is_closed()
            else:
                assert client.answer()[2] == b"released"


def test_killing_a_worker_under_load_loses_what_it_was_running() -> None:
    """At most one request of each client, and service goes on."""
    with running(TWO) as server, Load(server.address, 8, True) as load:
        load.wait_more(200)
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        load.wait_until(server.without(victim))
        load.wait_more(200)
        assert len(load.failures) <= 8
        eventually(lambda: len(server.workers()) == 2)


def test_a_worker_that_stands_still_is_killed_and_replaced() -> None:
    """A stopped process gives no heartbeat, whatever its main thread would like to say."""
    with running(f"{TWO}, worker_timeout=2.5") as server:
        victim = server.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        server.wait_line(f"(process {victim}): no heartbeat")
        eventually(lambda: victim not in server.workers() and len(server.workers()) == 2)
        assert server.ask() == "here"


def test_a_worker_whose_threads_all_hang_is_replaced(tmp_path: Path) -> None:
    """Its overflow leader beats on and hides nothing; the log shows where the threads are."""
    settings = "processes=2, threads=1, worker_timeout=1.5, graceful_timeout=20"
    with running(settings) as server, gate(tmp_path) as (path, _):
        stuck = server.client()
        stuck.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        victim = int(server.wait_line("held").split()[1])
        server.wait_line(f"(process {victim}): no thread back from the app")
        server.wait_line("Fatal Python error: Aborted")
        server.wait_line(f"(process {victim}) was hung")
        eventually(lambda: victim not in server.workers() and len(server.workers()) == 2)
        assert stuck.is_closed()
        assert server.ask() == "here"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_every_request_that_was_accepted(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Those in the app and those half sent; then the status is 0."""
    with running(TWO) as server, gate(tmp_path) as (path, release):
        held = [server.client() for _ in range(4)]
        for n, client in enumerate(held, 1):
            client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            server.wait_line("held", n)
        half = server.client()
        half.get()
        half.send(b"GET / HTTP/1.1\r\nHo")
        half_seen = server.client()
        half_seen.get()
        # As the terminal does it: to the whole group.
        os.killpg(server.pid, number)
        until_refused(server.address)
        half.send(b"st: x\r\n\r\n")
        release()
        for client in held:
            _, fields, body = client.answer()
            assert (fields[b"connection"], body) == (b"close", b"released")
        assert half.answer()[2] == b"here"
        assert server.wait_end() == 0
        assert server.lines[-1] == "Dewar stopped."


def test_a_stop_under_load_fails_only_what_was_not_accepted() -> None:
    """A connection that carried requests is never cut: its last answer says that it ends."""
    with running(TWO) as server:
        with Load(server.address, 8, True) as load:
            load.wait_more(200)
            server.send(signal.SIGTERM)
            assert server.wait_end() == 0
        # Who connects in the very moment of the end may be told so by a reset, without having been
        # in anybody's hands: the kernel's queue goes with the last listener.
        assert [text for text in load.failures if text.startswith("ask again")] == []


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Whatever still runs."""
    with running(TWO) as server, gate(tmp_path) as (path, _):
        client = server.client()
        client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        server.send(signal.SIGTERM)
        until_refused(server.address)
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert client.is_closed()


def test_quit_ends_it_at_once(tmp_path: Path) -> None:
    """Without a first signal."""
    with running(TWO) as server, gate(tmp_path) as (path, _):
        client = server.client()
        client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        server.send(signal.SIGQUIT)
        assert server.wait_end() == 0
        assert client.is_closed()


def test_workers_are_added_and_taken_away() -> None:
    """One by a signal; the last one stays."""
    with running(TWO) as server, Load(server.address, 4, True) as load:
        server.send(signal.SIGTTIN)
        eventually(lambda: len(server.workers()) == 3)
        for left in (2, 1):
            server.send(signal.SIGTTOU)
            load.wait_until(lambda left=left: len(server.workers()) == left)  # type: ignore[misc]
        server.send(signal.SIGTTOU)
        server.wait_line("the last worker stays")
        load.wait_more(50)
        assert load.failures == []
        assert len(server.workers()) == 1


def test_a_worker_that_has_answered_enough_is_replaced() -> None:
    """No request is lost by it."""
    with running("processes=2, threads=4, max_requests=100") as server:
        first = set(server.workers())
        with Load(server.address, 4, True) as load:
            load.wait_until(server.without(*first))
            load.wait_more(50)
            assert load.failures == []


def test_one_process_is_replaced_too() -> None:
    """With max_requests alone there is a supervisor as well."""
    with running("threads=4, max_requests=50") as server:
        (first,) = server.workers()
        with Load(server.address, 2, False) as load:
            load.wait_until(server.without(first))
            load.wait_more(50)
            assert load.failures == []


LOADED = "import app_under_test\nload = lambda: app_under_test.app\nrun(load=load, "


def app_file(folder: Path, code: str) -> str:
    """Write an app to be loaded from a file; return what makes it importable."""
    (folder / "app_under_test.py").write_text(f'{COMMON}\nCODE = "{code}"\n')
    return f"sys.path.insert(0, {str(folder)!r})"


LOAD = """
def load():
    import app_under_test
    return app_under_test.app
"""


def test_a_reload_takes_up_new_code(tmp_path: Path) -> None:
    """Each worker imports the app itself."""
    before = app_file(tmp_path, "one") + LOAD
    with running(TWO, before, "run(load=load, ") as server:
        assert server.ask("/code") == "one"
        app_file(tmp_path, "second")
        former = set(server.workers())
        server.send(signal.SIGHUP)
        eventually(server.without(*former))
        assert server.ask("/code") == "second"


COMMAND = "import sys; sys.argv[0] = 'dewar'; from dewar.__main__ import main; main()"


@pytest.mark.parametrize("way", ["working directory", "chdir"])
def test_a_reload_takes_up_the_release_that_a_link_names_now(tmp_path: Path, way: str) -> None:
    """The server goes by the name of its folder, as shells and gunicorn do."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(f'{COMMON}\nCODE = "{name}"\n')
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    folder, options = (link, []) if way == "working directory" else (tmp_path, ["--chdir=current"])
    server = Running(
        COMMAND, "run", "app:app", "--bind=127.0.0.1:0", "--processes=2", *options,
        cwd=folder, env={**os.environ, "PWD": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        server.wait_ready()
        assert server.ask("/code") == "one"
        (tmp_path / "next").symlink_to(tmp_path / "two")
        (tmp_path / "next").replace(link)
        former = set(server.workers())
        server.send(signal.SIGHUP)
        eventually(server.without(*former))
        assert server.ask("/code") == "two"
    finally:
        server.close()


def test_preloaded_code_stays(tmp_path: Path) -> None:
    """It is loaded once, before the fork, and the log says so at a reload."""
    before = app_file(tmp_path, "one") + LOAD
    with running(f"{TWO}, preload=True", before, "run(load=load, ") as server:
        app_file(tmp_path, "second")
        former = set(server.workers())
        server.send(signal.SIGHUP)
        server.wait_line("the same code")
        eventually(server.without(*former))
        assert server.ask("/code") == "one"


def test_a_reload_to_a_broken_app_leaves_the_old_one(tmp_path: Path) -> None:
    """The log shows the traceback and says what has become of the reload; a later one works."""
    before = app_file(tmp_path, "one") + LOAD
    with running(TWO, before, "run(load=load, ") as server:
        former = set(server.workers())
        (tmp_path / "app_under_test.py").write_text("import no_such_module_at_all")
        with Load(server.address, 2, False) as load:
            server.send(signal.SIGHUP)
            server.wait_line("ModuleNotFoundError")
            server.wait_line("The reload has failed")
            load.wait_more(50)
            assert load.failures == []
        eventually(lambda: set(server.workers()) == former)
        app_file(tmp_path, "mended")
        server.send(signal.SIGHUP)
        eventually(server.without(*former))
        assert server.ask("/code") == "mended"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("import sys; sys.exit('enough')", "enough"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_an_app_that_can_not_be_loaded_ends_the_start(
    tmp_path: Path, broken: str, message: str
) -> None:
    """With status 3 and one line that says why, before anybody was let in."""
    (tmp_path / "app_under_test.py").write_text(broken)
    script = f"{COMMON}\nsys.path.insert(0, {str(tmp_path)!r}){LOAD}\n"
    server = Running(f'{script}run(load=load, bind="127.0.0.1:0", {TWO})')
    try:
        assert server.wait_end() == 3
        assert message in server.wait_line("Dewar could not start")
        assert not any("Dewar serving" in line for line in server.lines)
    finally:
        server.close()


def test_a_dead_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    """Its workers finish what they have and end by themselves."""
    with running(TWO) as server, gate(tmp_path) as (path, release):
        held = server.client()
        held.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        workers = server.workers()
        server.send(signal.SIGKILL)
        until_refused(server.address)
        release()
        assert held.answer()[2] == b"released"
        eventually(lambda: not any(map(is_alive, workers)))


def test_a_signal_to_a_worker_itself_replaces_it() -> None:
    """TERM lets it leave when its successor is there."""
    with running(TWO) as server, Load(server.address, 4, True) as load:
        victim = server.workers()[0]
        os.kill(victim, signal.SIGTERM)
        load.wait_until(server.without(victim))
        load.wait_more(50)
        assert load.failures == []
        eventually(lambda: len(server.workers()) == 2)


def test_signals_that_a_worker_does_not_answer_do_not_hurt_it() -> None:
    """They are the supervisor's. Many at once interrupt the handlers of each other."""
    with running(TWO) as server:
        before = server.workers()
        numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)
        for _, worker, number in product(range(50), before, numbers):
            os.kill(worker, number)
        assert server.ask() == "here"
        server.send(signal.SIGUSR1)
        assert server.ask() == "here"
        assert server.workers() == before


def test_restarts_leave_nothing_behind() -> None:
    """No descriptor in the supervisor, no zombie, no process."""
    with running(TWO) as server:
        folder = Path(f"/proc/{server.pid}/fd")
        eventually(lambda: len(server.workers()) == 2)
        before, known = len(list(folder.iterdir())), set(server.workers())
        for _ in range(5):
            former = set(server.workers())
            server.send(signal.SIGHUP)
            eventually(server.without(*former))
            known |= set(server.workers())
        assert len(list(folder.iterdir())) == before
        assert {pid for pid in known if is_alive(pid)} == set(server.workers())


def test_what_the_workers_leave_to_do_at_their_end_is_done(tmp_path: Path) -> None:
    """Functions for the exit and threads that are not daemons, as in any process."""
    before = """
import atexit
def load():
    atexit.register(line, "exit of a worker")
    pool, ends = __import__("concurrent.futures").futures.ThreadPoolExecutor(), threading.Event()
    pool.submit(lambda: (ends.wait(20), line("job of a worker")))
    threading._register_atexit(ends.set)  # called before what the executor registered
    return app
atexit.register(line, "exit of the supervisor")
"""
    with running(TWO, before, "run(load=load, ") as server:
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        for text, count in [("exit of a worker", 2), ("job of a worker", 2)]:
            assert sum(line == text for line in server.lines) == count
        assert server.lines.count("exit of the supervisor") == 1


def test_clients_are_spread_over_the_workers() -> None:
    """Connections that stay: none has all of them."""
    with running(TWO) as server:
        held = server.client()
        first = held.get("/pid")[2].decode()
        eventually(lambda: server.ask("/pid") != first)  # the other one serves too
        held.close()
        barrier = threading.Barrier(32)
        pids: list[bytes] = []

        def ask() -> None:
            barrier.wait(10)
            client = server.client()
            pids.append(client.get("/pid")[2])
            barrier.wait(20)
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = sorted(pids.count(pid) for pid in set(pids))
        assert len(counts) == 2
        assert counts[0] >= 4, counts


SIGNAL_STACK = """
import ctypes, faulthandler

class Stack(ctypes.Structure):
    _fields_ = [("where", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def load():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    line(f"crashes reported: {faulthandler.is_enabled()}, disabled: {stack.flags == 2}")
    return app
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the structure is that of Linux")
def test_signals_use_the_stack_of_the_main_thread() -> None:
    """On the small one of `faulthandler`, a few at once would overwrite the heap."""
    with running(TWO, SIGNAL_STACK, "run(load=load, ") as server:
        assert server.wait_line("crashes", 2) == "crashes reported: True, disabled: True"

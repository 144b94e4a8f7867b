import threading
from concurrent.futures import ThreadPoolExecutor

from examples.tour.selfcheck import mixed_up

THREADS = 32
NAMES = [f"visitor-{number}" for number in range(THREADS)]


def gate():
    """Give a pause that ends when all the requests are in it."""
    barrier = threading.Barrier(THREADS, timeout=30)
    return lambda _seconds: barrier.wait()


def ask(app, name):
    """Ask who am I, in a browser of one's own."""
    return app.test_client().get("/api/whoami", query_string={"name": name}).json


def test_requests_that_overlap_each_see_only_their_own_state(app, hold):
    """All have written before any reads back, and each finds its own name everywhere."""
    hold(gate())
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda name: ask(app, name), NAMES))
    for name, answer in zip(NAMES, answers, strict=True):
        assert answer["saw"] == {"request": name, "session": name, "g": name}
    assert len({answer["thread"]["ident"] for answer in answers}) == THREADS
    assert len({answer["environ"] for answer in answers}) == THREADS
    assert len({answer["request_id"] for answer in answers}) == THREADS


def test_the_self_check_finds_nothing_mixed_up(app, hold):
    """The same check as a function gives no names when every request is isolated."""
    hold(gate())
    assert mixed_up(app, NAMES) == []


def test_the_self_check_would_notice(app, hold, monkeypatch):
    """A value that all requests share is found, so a green check means something."""
    shared = type("Shared", (), {"request_id": "", "started": 0.0})()
    monkeypatch.setattr("examples.tour.whoami.g", shared)
    hold(gate())
    assert len(mixed_up(app, NAMES)) == THREADS - 1


def test_a_blocked_view_holds_no_other_up(app, hold):
    """While one request waits, another that needs no waiting is answered."""
    entered, leave = threading.Event(), threading.Event()

    def pause(_seconds):
        entered.set()
        assert leave.wait(30)

    hold(pause)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(app.test_client().get, "/api/slow")
        assert entered.wait(30)
        assert app.test_client().get("/").status_code == 200
        assert not slow.done()
        leave.set()
        assert slow.result(30).status_code == 200


def test_who_am_i_needs_a_name_of_some_length(client):
    """Without a name there is nothing to check; too long a one would not fit a cookie."""
    assert client.get("/api/whoami").status_code == 400
    assert client.get("/api/whoami", query_string={"name": "x" * 41}).status_code == 400


def test_the_command_prints_how_many_were_isolated(app):
    """``dewar self-check`` does the same in a terminal."""
    result = app.test_cli_runner().invoke(args=["self-check", "--requests", "4"])
    assert result.output == "4 of 4 requests saw only their own state.\n"
    assert result.exit_code == 0

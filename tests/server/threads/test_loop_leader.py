"""`LoopLeader`: the loop's thread leads while nearly all requests are for it."""

import asyncio

import pytest

from asynctools import REQUEST, Gates, gated_app, lead_on_loop, on_loop, pool_of
from polling import eventually
from servertools import Serve, Served

pytestmark = pytest.mark.usefixtures("calm_loop")


def watches(served: Served) -> bool:
    """Return whether the event loop watches the server's poller."""
    pool = pool_of(served)
    fd = pool._poller.maybe_fd()

    def is_watched() -> bool:
        # With nothing that only one kind of loop has.
        loop = asyncio.get_running_loop()
        is_watched = loop.remove_reader(fd)
        if is_watched:
            loop.add_reader(fd, pool._loop_leader._look)
        return is_watched

    return bool(on_loop(is_watched))


def test_it_leads_after_some_requests_for_the_loop(serve: Serve, gates: Gates) -> None:
    """And watches the poller from then on."""
    served = serve(gated_app(gates), threads=2)
    client = served.client()
    for _ in range(31):
        client.get("/quick/x")
    assert not pool_of(served)._leadership.is_on_loop
    eventually(lambda: "threads, 31 of" in repr(pool_of(served)._loop_leader))
    lead_on_loop(served)
    assert not pool_of(served)._leadership.is_running()


def test_it_gives_the_leadership_back_where_others_come(serve: Serve, gates: Gates) -> None:
    """At once if they are many; no request is lost."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served)
    for number in range(20):
        assert client.get(f"/sync/{number}")[2] == str(number).encode()
    assert not pool_of(served)._leadership.is_on_loop


def test_an_idle_loop_has_it_taken(serve: Serve, gates: Gates) -> None:
    """And stops watching the poller at the next event that it sees."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served)
    eventually(lambda: not pool_of(served)._leadership.is_on_loop)
    for number in range(5):
        assert client.get(f"/sync/{number}")[2] == str(number).encode()

    def has_stopped() -> bool:
        client.get("/sync/x")  # one more event: the leader may have handled the others first
        return not watches(served)

    eventually(has_stopped)


def test_requests_that_have_a_function_that_may_block_are_not_for_it(
    serve: Serve, gates: Gates
) -> None:
    """Although a part of their work waits on the loop."""
    app = gated_app(gates)

    @app.teardown_appcontext
    def forget(error: BaseException | None) -> None:
        """Be there."""

    served = serve(app, threads=2)
    client = served.client()
    for _ in range(100):
        assert client.get("/quick/x")[2] == b"x"
        assert not pool_of(served)._leadership.is_on_loop


def test_one_that_was_begun_with_when_the_leadership_was_taken_is_answered(
    serve: Serve, gates: Gates
) -> None:
    """By the loop, although another thread leads by then; the next request waits for it."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served)
    client.send(REQUEST % b"/block/b")
    gates.entered("b")
    eventually(lambda: not pool_of(served)._leadership.is_on_loop)
    connections = pool_of(served)._connections
    assert len(connections.handed_off) == 1
    client.send(REQUEST % b"/sync/next")
    gates.open("b")
    assert [client.answer()[2], client.answer()[2]] == [b"b", b"next"]
    eventually(lambda: not connections.handed_off)


def test_a_pool_that_has_ended_is_watched_no_more(serve: Serve, gates: Gates) -> None:
    """The descriptor of its poller may be reused by then."""
    served = serve(gated_app(gates), threads=2)
    lead_on_loop(served)
    eventually(lambda: not pool_of(served)._leadership.is_on_loop)
    fd = pool_of(served)._poller.maybe_fd()
    served.stop()
    assert not on_loop(lambda: asyncio.get_running_loop().remove_reader(fd))

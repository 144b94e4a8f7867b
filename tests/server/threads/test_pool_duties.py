"""What the leader does besides running requests: wait, recover, and stop without loss."""

import logging
import threading
from typing import Any

import pytest

from dewar.server.connection.connection import Connection
from dewar.server.connection.state import ConnectionState
from dewar.server.threads.poller import READ
from dewar.server.threads.pool import Pool
from dewar.server.threads.work_queue import WorkerThread
from polling import eventually
from servertools import Client, Serve

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
SIZE = 8_000_000


def sized(environ: Any, start_response: Any) -> Any:
    """Answer ``/large`` with more than a socket takes at once."""
    start_response("200 OK", [])
    return [b"x" * SIZE if environ["PATH_INFO"] == "/large" else b"small"]


def pool_of(served: Any) -> Pool:
    """Return the threads of a server."""
    pool = served.server._backend._pool
    assert isinstance(pool, Pool)
    return pool


def wait_flushing(served: Any) -> None:
    """Wait until a response waits for its client."""
    connections = pool_of(served)._connections.open
    eventually(lambda: any(c.state is ConnectionState.FLUSHING for c in [*connections.values()]))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("behind", [0, 1])
def test_after_a_flush_the_poller_reports_reading_alone(
    serve: Serve, threads: int, behind: int
) -> None:
    """A socket is always ready to be written to: to go on asking would keep the leader busy."""
    served = serve(sized, threads=threads)
    client = served.client()
    client.send(REQUEST % b"/large" + behind * (REQUEST % b"/small"))
    wait_flushing(served)
    assert len(client.answer()[2]) == SIZE
    for _ in range(behind):
        assert client.answer()[2] == b"small"
    assert client.get("/small")[2] == b"small"
    (connection,) = pool_of(served)._connections.open.values()
    assert connection.interest == READ


def test_stopping_while_all_threads_are_stuck_frees_the_address(serve: Serve) -> None:
    """Nobody leads then, so the one who stops the server closes what is open."""
    entered, gate = threading.Semaphore(0), threading.Event()

    def stuck(environ: Any, start_response: Any) -> Any:
        entered.release()
        gate.wait(20)
        start_response("200 OK", [])
        return [b"late"]

    served = serve(stuck, threads=2)
    clients = [served.client() for _ in range(2)]
    for client in clients:
        client.send(REQUEST % b"/")
    for _ in clients:
        assert entered.acquire(timeout=10)
    assert served.server.stop(0) is False
    with pytest.raises(ConnectionRefusedError):
        served.client()
    assert all(client.is_closed() for client in clients)
    gate.set()


def test_clients_in_the_backlog_at_the_stop_are_answered(serve: Serve) -> None:
    """Also if they are more than the leader accepts at a time."""
    entered, gate = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            entered.set()
            gate.wait(20)
        start_response("200 OK", [])
        return [b"here"]

    served = serve(app, threads=1)
    holder = served.client()
    holder.send(REQUEST % b"/hold")
    assert entered.wait(10)
    late = [served.client() for _ in range(200)]
    for client in late:
        client.send(REQUEST % b"/late")
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    eventually(lambda: "DRAINING" in repr(pool_of(served)))
    gate.set()
    assert [client.answer()[2] for client in [holder, *late]] == [b"here"] * 201
    stopping.join(20)


def test_a_request_that_has_come_on_an_idle_connection_outlives_the_stop(serve: Serve) -> None:
    """It was there before the server could ask the client to close."""
    entered, gate = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            entered.set()
            gate.wait(20)
        start_response("200 OK", [])
        return [b"here"]

    served = serve(app, threads=1)
    idle = [served.client() for _ in range(20)]
    for client in idle:
        assert client.get("/")[2] == b"here"
    holder = served.client()
    holder.send(REQUEST % b"/hold")
    assert entered.wait(10)
    for client in idle:
        client.send(REQUEST % b"/")
    stopping = threading.Thread(target=served.server.stop)
    stopping.start()
    eventually(lambda: "DRAINING" in repr(pool_of(served)))
    gate.set()
    assert [client.answer()[2] for client in [holder, *idle]] == [b"here"] * 21
    stopping.join(20)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_fault_of_the_servers_own_costs_one_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, threads: int
) -> None:
    """The leader says so in the log and leads on."""
    served = serve(sized, threads=threads)
    run = Connection.run

    def faulty(connection: Connection) -> None:
        monkeypatch.setattr(Connection, "run", run)
        raise MemoryError

    monkeypatch.setattr(Connection, "run", faulty)
    victim: Client = served.client()
    with caplog.at_level(logging.CRITICAL):
        victim.send(REQUEST % b"/")
        assert victim.is_closed()
    assert "Internal error" in caplog.text
    for _ in range(10):
        assert served.client().get("/")[2] == b"small"


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("rounds", [1, 6])
def test_a_fault_on_a_thread_that_does_not_lead_costs_one_connection(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    threads: int,
    rounds: int,
) -> None:
    """The thread goes on to work, and nothing is left of the connection."""
    served = serve(sized, threads=threads)
    run, gate = Connection.run, threading.Event()
    began = threading.Semaphore(0)

    def faulty(connection: Connection) -> None:
        if connection.sock.getpeername() not in victims:
            run(connection)
            return
        began.release()
        gate.wait(10)
        raise MemoryError

    victims: set[Any] = set()
    monkeypatch.setattr(Connection, "run", faulty)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(rounds):
            gate.clear()
            clients = [served.client() for _ in range(threads)]
            for client in clients:
                victims.add(client.sock.getsockname())
                client.send(REQUEST % b"/")
                assert began.acquire(timeout=10)
            # All threads are in a fault to be, so that the last of them has been replaced too.
            eventually(lambda: served.server.statistics().pool.handed_off == threads)
            gate.set()
            assert all(client.is_closed() for client in clients)
    for _ in range(10):
        assert served.client().get("/")[2] == b"small"
    connections = pool_of(served)._connections
    eventually(
        lambda: not connections.handed_off
    )  # an answer comes a moment before its thread is back


def test_where_no_thread_can_be_started_the_leader_goes_on_alone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is slower then, and it is not the end."""
    attempts: list[WorkerThread] = []
    tried, gate = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            gate.wait(20)
        start_response("200 OK", [])
        return [b"here"]

    def fail(worker: WorkerThread) -> None:
        attempts.append(worker)
        if len(attempts) > 1:  # then the first one has been logged
            tried.set()
        raise RuntimeError("cannot start new thread")

    served = serve(app, threads=4)
    holder, other = served.client(), served.client()
    monkeypatch.setattr(WorkerThread, "start", fail)
    holder.send(REQUEST % b"/hold")
    assert tried.wait(10)
    other.send(REQUEST % b"/")
    gate.set()
    assert holder.answer()[2] == b"here"
    assert other.answer()[2] == b"here"
    assert "does not start" in caplog.text

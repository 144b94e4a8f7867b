"""The crowd that waits, and the rows that are made of it."""

import socket
import threading

import pytest
from bench.crowd import Crowd
from bench.macro import coroutines
from bench.macro.rounds import Result
from bench.shot import Shot


def result(name, *shots):
    """Return a result with shots of (rate, p99, errors)."""
    made = [Shot(rate=rate, p99_ms=p99, errors=errors) for rate, p99, errors in shots]
    return Result(name=name, shots=made)


class Answering:
    """A server that answers a line of numbers, each with its own or with another one."""

    def __init__(self, offset=0):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._offset = offset
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        clients = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            clients.append(client)
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client):
        with client:
            while data := client.recv(1000):
                number = int(data.split(b" ")[1].rpartition(b"/")[2]) + self._offset
                body = str(number).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                client.sendall(head + body)

    def close(self):
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.mark.parametrize(("offset", "errors"), [(0, 0), (1, 20)])
def test_a_crowd_knows_an_answer_that_is_anothers(offset, errors):
    """Each client asks for a number of its own, another one in each wave."""
    server = Answering(offset)
    crowd = Crowd(server.port, "/sleep/", 20)
    for turn in range(2):
        wave = crowd.wave(turn)
        assert wave.errors == errors
        assert wave.rate > 0
        assert wave.p99_ms > 0
    crowd.close()
    server.close()


def test_a_coroutine_view_is_a_share_of_the_synchronous_one():
    """Its rate, and the p99 of both."""
    rows = coroutines.quick_rows([
        result("def view", (100.0, 1.0, 0)), result("async def view", (70.0, 2.0, 0))
    ])  # fmt: skip
    assert [(row.figure, row.ratio, row.p99_ms) for row in rows] == [
        (100.0, None, 1.0), (70.0, 0.7, 2.0)
    ]  # fmt: skip


def test_the_time_for_all_and_what_they_cost_others():
    """Of the median wave; every answer that was another's is counted."""
    rows = coroutines.crowd_rows(5000, [
        result("5,000 requests", (2500.0, 1900.0, 0), (2500.0, 1900.0, 2)),
        result("alone", (10.0, 2.0, 0)),
        result("beside them", (10.0, 5.0, 0)),
    ])  # fmt: skip
    waves, alone, beside = rows
    assert (waves.figure, waves.unit) == (2.0, "s for all")
    assert waves.note == "2 wrong responses of 10,000"
    assert (alone.figure, alone.ratio) == (2.0, None)
    assert (beside.figure, beside.ratio, beside.baseline) == (5.0, 2.5, "alone")


def test_a_crowd_that_failed_is_one_failed_row():
    """With its reason."""
    broken = Result(name="5,000 requests", failure="no descriptor left")
    (row,) = coroutines.crowd_rows(5000, [broken, Result(name="alone"), Result(name="beside")])
    assert row.note == "failed: no descriptor left"

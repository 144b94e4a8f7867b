"""Several processes, some of which are busy: who lets the next client in."""

import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import pytest

from dewar.server import Server, Settings
from servertools import Client

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
_forking = multiprocessing.get_context("fork")


class Held:
    """Two processes with one thread each, and an app whose ``/hold`` waits for a gate."""

    def __init__(self) -> None:
        self.entered = _forking.Semaphore(0)
        self.gate = _forking.Event()
        self.server = Server(self, Settings(bind="127.0.0.1:0", processes=2, threads=1))
        self._clients: list[Client] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            self.entered.release()
            self.gate.wait(20)
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]

    def client(self) -> Client:
        """Connect."""
        host, _, port = self.server.addresses[0].removeprefix("http://").rpartition(":")
        self._clients.append(Client((host, int(port))))
        return self._clients[-1]

    def hold(self) -> Client:
        """Occupy a process."""
        client = self.client()
        client.send(GET % b"/hold")
        assert self.entered.acquire(timeout=10)
        return client

    def close(self) -> None:
        """End."""
        self.gate.set()
        for client in self._clients:
            client.close()
        self.server.stop(5)


@pytest.fixture
def patient_acceptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a busy process leave clients to others for as long as a loaded machine may need."""
    monkeypatch.setattr("dewar.server.threads.acceptor.UNCLAIMED_AFTER", 20.0)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    held.server.start()
    yield held
    held.close()


def test_a_busy_process_leaves_new_clients_to_one_that_is_not(
    patient_acceptors: None, held: Held
) -> None:
    """They would wait there for a thread, though another process has one that is free."""
    busy = held.hold()
    pids = {held.client().get("/")[2] for _ in range(20)}
    assert len(pids) == 1
    held.gate.set()
    assert busy.answer()[2] not in pids


def test_where_all_are_busy_clients_are_let_in_to_wait(held: Held) -> None:
    """And answered as soon as a thread is back."""
    busy = [held.hold(), held.hold()]
    waiting = [held.client() for _ in range(6)]
    for client in waiting:
        client.send(GET % b"/")
    held.gate.set()
    assert len({client.answer()[2] for client in busy}) == 2
    assert {client.answer()[0] for client in waiting} == {b"HTTP/1.1 200 OK"}

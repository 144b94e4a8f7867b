"""Coroutine views and streams on the server, with synchronous views among them: nothing crosses.

``make soak-coroutines`` runs the long form, the suite a short one. Two apps are served, each with
clients that keep many connections and ask on all of them at once. Each request sets everything
that can be set to a name of its own, waits a few times, and looks whether everything is still
there; some clients leave before they have their answer. Run as a script it prints one line and
exits with 1 where anything crossed, was answered wrongly, or was left.
"""

import argparse
import asyncio
import gc
import random
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from asynctools import REQUEST, tasks_left
from dewar import Dewar, Local, current_app, g, request, session, stream_with_context
from polling import eventually
from servertools import Client, Served, suspend_a_moment

KINDS = ("async", "stream", "async", "sync", "async", "helped", "async", "nap")
CONNECTIONS = 8

_name: ContextVar[str] = ContextVar("name", default="nobody")


@dataclass
class Findings:
    """What a run found."""

    requests: int = 0
    crossings: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


class Kept:
    """An app that keeps a name in everything that can keep one, and looks whether it stays.

    Args:
        name: The app's.
        findings: Where it tells what crossed.
    """

    def __init__(self, name: str, findings: Findings) -> None:
        self._crossings = findings.crossings
        self.local = Local()
        self.requests: weakref.WeakSet[Any] = weakref.WeakSet()
        self.app = Dewar(name, static_folder=None)
        self.app.secret_key = name
        for kind in sorted(set(KINDS)):
            self.app.get(f"/{kind}/<name>", endpoint=kind)(getattr(self, f"_{kind}"))
        self.app.teardown_request(self._forget)

    async def _async(self, name: str) -> str:
        self._keep(name)
        for _ in range(3):
            await asyncio.sleep(0)
            self._check(name)
        await asyncio.gather(*(self._child(name) for _ in range(2)))
        self._check(name)
        return name

    async def _nap(self, name: str) -> str:
        self._keep(name)
        await suspend_a_moment()
        self._check(name)
        return name

    async def _stream(self, name: str) -> Any:
        self._keep(name)
        await asyncio.sleep(0)
        return stream_with_context(self._pieces(name))

    async def _helped(self, name: str) -> str:
        self._keep(name)
        await asyncio.to_thread(self._check, name)
        self._check(name)
        return name

    def _sync(self, name: str) -> str:
        self._keep(name)
        self._check(name)
        return name

    async def _pieces(self, name: str) -> AsyncIterator[str]:
        self._check(name)
        yield name[:1]
        await asyncio.sleep(0)
        self._check(name)
        yield name[1:]

    async def _child(self, name: str) -> None:
        self._check(name)
        self.local.name = "child's"
        _name.set("child's")
        await asyncio.sleep(0)
        if (self.local.name, _name.get(), g.name) != ("child's", "child's", name):
            self._crossings.append(f"child of {name}")

    async def _forget(self, error: BaseException | None) -> None:
        await asyncio.sleep(0)
        if request.view_args is not None and "name" in g and g.name != request.view_args["name"]:
            self._crossings.append(f"teardown of {request.path}")

    def _keep(self, name: str) -> None:
        if "name" in g or _name.get() != "nobody" or hasattr(self.local, "name"):
            self._crossings.append(f"{name} began with another's")
        self.requests.add(request._get_current_object())  # type: ignore[attr-defined]
        g.name = session["name"] = self.local.name = name
        _name.set(name)

    def _check(self, name: str) -> None:
        seen = (
            current_app.name, g.name, session["name"], self.local.name, _name.get(),
            request.path.rpartition("/")[2],
        )  # fmt: skip
        if seen != (self.app.name, name, name, name, name, name):
            self._crossings.append(f"{name}: {seen}")


class Soak:
    """Two apps on two servers of one process, which share the event loop.

    Args:
        threads: Those of each server.
    """

    def __init__(self, threads: int) -> None:
        self.findings = Findings()
        self._kept = [Kept(name, self.findings) for name in ("first", "second")]
        self._served = [Served(kept.app, None, {"threads": threads}) for kept in self._kept]

    def run(self, clients: int, rounds: int) -> Findings:
        """Have each of *clients* ask on all its connections at once, *rounds* times; then look."""
        workers = [
            threading.Thread(target=self._ask, args=(number, rounds)) for number in range(clients)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.findings.requests = clients * rounds * CONNECTIONS
        for served in self._served:
            served.stop()
        self._look()
        return self.findings

    def _ask(self, number: int, rounds: int) -> None:
        served = self._served[number % 2]
        clients = [Client(served.address) for _ in range(CONNECTIONS)]
        choice = random.Random(number)
        for turn in range(rounds):
            names = [f"{number}-{turn}-{place}" for place in range(CONNECTIONS)]
            for place, name in enumerate(names):
                kind = KINDS[(turn + place) % len(KINDS)]
                clients[place].send(REQUEST % f"/{kind}/{name}".encode())
            leaves = choice.randrange(CONNECTIONS) if turn % 10 == 9 else None
            for place, name in enumerate(names):
                if place == leaves:
                    clients[place].close()
                    clients[place] = Client(served.address)
                elif (body := clients[place].answer()[2]) != name.encode():
                    self.findings.crossings.append(f"{name} was answered {body[:60]!r}")
        for client in clients:
            client.close()

    def _look(self) -> None:
        leftovers = self.findings.leftovers
        eventually(lambda: not tasks_left())
        gc.collect()
        for served, kept in zip(self._served, self._kept, strict=True):
            if left := len(kept.requests):
                leftovers.append(f"{left} requests of {kept.app.name}")
            if storage := kept.local.__storage__:
                leftovers.append(f"storage {storage}")
            pool = served.server.statistics().pool
            if pool.connections or pool.handed_off or pool.waiting:
                leftovers.append(repr(pool))


def main() -> int:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2500, help="of each client")
    arguments = parser.parse_args()
    findings = Soak(threads=8).run(arguments.clients, arguments.rounds)
    print(
        f"{findings.requests} requests on {arguments.clients * CONNECTIONS} connections:"
        f" {len(findings.crossings)} crossings, {len(findings.leftovers)} leaks"
    )
    for finding in (findings.crossings + findings.leftovers)[:20]:
        print(" ", finding)
    return 1 if findings.crossings or findings.leftovers else 0


if __name__ == "__main__":
    sys.exit(main())

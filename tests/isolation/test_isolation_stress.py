"""Many owners of every kind at once: no crossings, no leaks."""

import asyncio
import gc
import random
import threading

import greenlet
import pytest

from dewar import Local, LocalStack

THREADS = 16
ROUNDS = 400


class Crossings:
    """Counts values seen where they don't belong."""

    def __init__(self) -> None:
        self.local = Local()
        self.stack: LocalStack[object] = LocalStack()
        self.found: list[object] = []

    def visit(self, name: object) -> None:
        """Set everything to `name`."""
        self.local.name = name
        self.stack.push(name)

    def check(self, name: object) -> None:
        """See that everything is still `name`."""
        if self.local.name is not name or self.stack.top is not name:
            self.found.append((name, dict(self.local), list(self.stack)))

    def leave(self) -> None:
        """Undo `visit`."""
        self.stack.pop()
        del self.local.name


def threads_work(crossings: Crossings, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(ROUNDS):
        name = (seed, number)
        crossings.visit(name)
        kind = chance.randrange(4)
        if kind == 0:
            greenlets_work(crossings, name)
        elif kind == 1 and number % 8 == 0:
            asyncio.run(tasks_work(crossings, name))
        crossings.check(name)
        crossings.leave()


def greenlets_work(crossings: Crossings, parent: object) -> None:
    def work(number: int) -> None:
        name = ("greenlet", parent, number)
        if crossings.stack.top is not None or dict(crossings.local):
            crossings.found.append(("inherited", name))
        crossings.visit(name)
        greenlet.getcurrent().parent.switch()
        crossings.check(name)

    workers = [greenlet.greenlet(work) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.switch(number)
    for worker in workers:
        worker.switch()
    crossings.check(parent)


async def tasks_work(crossings: Crossings, parent: object) -> None:
    async def work(number: int) -> None:
        crossings.check(parent)
        name = ("task", parent, number)
        crossings.visit(name)
        await asyncio.sleep(0)
        crossings.check(name)

    await asyncio.gather(*(work(number) for number in range(5)))
    crossings.check(parent)


@pytest.mark.parametrize("seed", range(3))
def test_no_value_crosses_between_threads_greenlets_and_tasks(seed: int) -> None:
    """Every owner finds exactly what it set, and at the end nothing is left."""
    crossings = Crossings()
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        start.wait()
        threads_work(crossings, seed * THREADS + number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crossings.found == []
    gc.collect()
    assert crossings.local.__storage__ == {}
    assert crossings.stack.top is None

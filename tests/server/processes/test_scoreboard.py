"""The board: what one process writes, the others read."""

import os
from dataclasses import fields

import pytest

from dewar.server.metrics.statistics import POOL_FIELDS, PoolStatistics, numbers_of, pool_from
from dewar.server.processes.scoreboard import Scoreboard, WorkerSlot
from dewar.server.processes.worker_state import Heartbeat, WorkerState


def pool(start: int, early_promotion: bool = False) -> PoolStatistics:
    """Return statistics with different numbers."""
    values = {name: start + n for n, name in enumerate(POOL_FIELDS)}
    return PoolStatistics(**{**values, "early_promotion": early_promotion})  # type: ignore[arg-type]


@pytest.fixture
def scoreboard() -> Scoreboard:
    return Scoreboard(4)


def add(scoreboard: Scoreboard, number: int, now: float = 10.0) -> WorkerSlot:
    """Have a worker."""
    scoreboard.reserve(number, 1, now)
    scoreboard.assign(number, 1000 + number)
    scoreboard.set_state(number, WorkerState.SERVING)
    return scoreboard.slot(number)


def test_numbers_of_a_pool_come_back_as_they_were() -> None:
    """Each in its place and of its kind."""
    there = pool(5, early_promotion=True)
    assert pool_from(numbers_of(there)) == there
    assert {field.name for field in fields(PoolStatistics)} == set(POOL_FIELDS)


def test_what_a_worker_writes_is_read(scoreboard: Scoreboard) -> None:
    """Who it is, what it does, and since when."""
    slot = add(scoreboard, 2, now=10.0)
    slot.beat(12.0, None, pool(1))
    (worker,) = scoreboard.workers(now=12.5)
    assert (worker.number, worker.pid, worker.generation) == (2, 1002, 1)
    assert (worker.state, worker.age, worker.heartbeat_age) == ("SERVING", 2.5, 0.5)
    assert worker.pool == pool(1)
    assert scoreboard.total() == pool(1)


def test_signs_of_life_are_those_of_the_last_beat(scoreboard: Scoreboard) -> None:
    """The fork counts as the first one."""
    slot = add(scoreboard, 1, now=10.0)
    assert scoreboard.heartbeats() == {1: Heartbeat(10.0)}
    slot.beat(11.0, 10.5, pool(0))
    assert scoreboard.heartbeats() == {1: Heartbeat(11.0, 10.5)}
    slot.beat(12.0, None, pool(0))
    assert scoreboard.heartbeats() == {1: Heartbeat(12.0)}


def test_what_was_counted_outlives_the_worker(scoreboard: Scoreboard) -> None:
    """A counter never falls; what is open now ends with its process."""
    add(scoreboard, 1).beat(11.0, None, pool(100))
    add(scoreboard, 2).beat(11.0, None, pool(200))
    before = scoreboard.total()
    scoreboard.release(1)
    after = scoreboard.total()
    assert (after.requests, after.accepted) == (before.requests, before.accepted)
    assert after.connections == pool(200).connections
    add(scoreboard, 1)
    assert scoreboard.total().requests == before.requests


def test_the_lowest_free_number_is_used_again(scoreboard: Scoreboard) -> None:
    """Until there is none."""
    for number in range(1, 5):
        assert scoreboard.maybe_free() == number
        add(scoreboard, number)
    assert scoreboard.maybe_free() is None
    scoreboard.release(3)
    assert scoreboard.maybe_free() == 3


def test_a_worker_sees_the_least_of_the_others_that_serve(scoreboard: Scoreboard) -> None:
    """Not its own count, nor that of one that starts or leaves."""
    slots = [add(scoreboard, number) for number in (1, 2, 3)]
    for slot, count in zip(slots, (0, 7, 5), strict=True):
        slot.note_open(count)
    assert slots[0].least_open_elsewhere() == 5
    assert slots[2].least_open_elsewhere() == 0
    scoreboard.set_state(3, WorkerState.RETIRING)
    assert slots[0].least_open_elsewhere() == 7
    scoreboard.release(2)
    assert slots[0].least_open_elsewhere() is None


def test_a_worker_that_died_while_it_wrote_is_still_read(scoreboard: Scoreboard) -> None:
    """The reader does not wait for it."""
    slot = add(scoreboard, 1)
    slot.beat(11.0, None, pool(3))
    slot._cells[slot._base + 4] += 1  # as in the middle of a beat
    assert scoreboard.workers()[0].pool == pool(3)


def test_processes_share_the_board(scoreboard: Scoreboard) -> None:
    """What a child writes its parent reads."""
    slot = add(scoreboard, 1)
    pid = os.fork()
    if not pid:
        slot.beat(50.0, None, pool(9))
        os._exit(0)
    os.waitpid(pid, 0)
    assert scoreboard.workers()[0].pool == pool(9)
    scoreboard.close()

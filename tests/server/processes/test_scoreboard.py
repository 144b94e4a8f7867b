"""The board: what one process writes, the others read."""

import os
from dataclasses import fields

import pytest

from dewar.server.processes.plan import Sign
from dewar.server.processes.scoreboard import Scoreboard, Slot
from dewar.server.processes.state import WorkerState
from dewar.server.statistics import POOL_FIELDS, numbers_of, pool_from
from dewar.server.threads.statistics import PoolStatistics


def pool(start: int, hands_over: bool = False) -> PoolStatistics:
    """Return statistics with different numbers."""
    values = {name: start + n for n, name in enumerate(POOL_FIELDS)}
    return PoolStatistics(**{**values, "hands_over": hands_over})  # type: ignore[arg-type]


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard(4)


def add(board: Scoreboard, number: int, now: float = 10.0) -> Slot:
    """Have a worker."""
    board.reserve(number, 1, now)
    board.assign(number, 1000 + number)
    board.set_state(number, WorkerState.SERVING)
    return board.slot(number)


def test_numbers_of_a_pool_come_back_as_they_were() -> None:
    """Each in its place and of its kind."""
    there = pool(5, hands_over=True)
    assert pool_from(numbers_of(there)) == there
    assert {field.name for field in fields(PoolStatistics)} == set(POOL_FIELDS)


def test_what_a_worker_writes_is_read(board: Scoreboard) -> None:
    """Who it is, what it does, and since when."""
    slot = add(board, 2, now=10.0)
    slot.beat(12.0, None, pool(1))
    (worker,) = board.workers(now=12.5)
    assert (worker.number, worker.pid, worker.generation) == (2, 1002, 1)
    assert (worker.state, worker.age, worker.silence) == ("SERVING", 2.5, 0.5)
    assert worker.pool == pool(1)
    assert board.total() == pool(1)


def test_signs_of_life_are_those_of_the_last_beat(board: Scoreboard) -> None:
    """The fork counts as the first one."""
    slot = add(board, 1, now=10.0)
    assert board.signs() == {1: Sign(10.0)}
    slot.beat(11.0, 10.5, pool(0))
    assert board.signs() == {1: Sign(11.0, 10.5)}
    slot.beat(12.0, None, pool(0))
    assert board.signs() == {1: Sign(12.0)}


def test_what_was_counted_outlives_the_worker(board: Scoreboard) -> None:
    """A counter never falls; what is open now ends with its process."""
    add(board, 1).beat(11.0, None, pool(100))
    add(board, 2).beat(11.0, None, pool(200))
    before = board.total()
    board.release(1)
    after = board.total()
    assert (after.requests, after.accepted) == (before.requests, before.accepted)
    assert after.connections == pool(200).connections
    add(board, 1)
    assert board.total().requests == before.requests


def test_the_lowest_free_number_is_used_again(board: Scoreboard) -> None:
    """Until there is none."""
    for number in range(1, 5):
        assert board.maybe_free() == number
        add(board, number)
    assert board.maybe_free() is None
    board.release(3)
    assert board.maybe_free() == 3


def test_a_worker_sees_the_least_of_the_others_that_serve(board: Scoreboard) -> None:
    """Not its own count, nor that of one that starts or leaves."""
    slots = [add(board, number) for number in (1, 2, 3)]
    for slot, count in zip(slots, (0, 7, 5), strict=True):
        slot.note_open(count)
    assert slots[0].least_open_elsewhere() == 5
    assert slots[2].least_open_elsewhere() == 0
    board.set_state(3, WorkerState.RETIRING)
    assert slots[0].least_open_elsewhere() == 7
    board.release(2)
    assert slots[0].least_open_elsewhere() is None


def test_a_worker_that_died_while_it_wrote_is_still_read(board: Scoreboard) -> None:
    """The reader does not wait for it."""
    slot = add(board, 1)
    slot.beat(11.0, None, pool(3))
    slot._cells[slot._base + 4] += 1  # as in the middle of a beat
    assert board.workers()[0].pool == pool(3)


def test_processes_share_the_board(board: Scoreboard) -> None:
    """What a child writes its parent reads."""
    slot = add(board, 1)
    pid = os.fork()
    if not pid:
        slot.beat(50.0, None, pool(9))
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.workers()[0].pool == pool(9)
    board.close()

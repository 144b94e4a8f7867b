"""The names of jobs."""

import copy
import os
import re
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.ids import TIME_LENGTH, IdGenerator, new_id, time_prefix

TIMES = st.floats(min_value=0, max_value=2**48 / 1000 - 1)


@given(TIMES)
def test_an_id_goes_into_a_url(now: float) -> None:
    """It has 36 letters and digits, of which the first ten are the time."""
    assert re.fullmatch("[0-9a-v]{36}", new_id(now))
    assert new_id(now).startswith(time_prefix(now))
    assert len(time_prefix(now)) == TIME_LENGTH


@given(TIMES, TIMES)
def test_ids_sort_by_their_time(one: float, other: float) -> None:
    """An id that is made a millisecond later sorts later."""
    first, second = sorted([one, other])
    assert time_prefix(first) <= time_prefix(second)
    if int(first * 1000) < int(second * 1000):
        assert new_id(first) < new_id(second)


def test_ids_of_one_moment_differ() -> None:
    """128 bits of each are random, and all of these are used."""
    ids = [new_id(1.0)[TIME_LENGTH:] for _ in range(2000)]
    assert len(set(ids)) == 2000
    # 26 letters hold 130 bits: the first has two spare ones.
    assert {name[0] for name in ids} == set("01234567")
    assert {name[-1] for name in ids} == set("0123456789abcdefghijklmnopqrstuv")


def test_times_beyond_the_range_are_at_its_ends() -> None:
    """A wrong clock makes no wrong id."""
    assert time_prefix(-5.0) == "0" * TIME_LENGTH
    assert time_prefix(1e30) == time_prefix((2**48 - 1) / 1000)


def test_a_stock_makes_ids_that_differ_and_sort() -> None:
    """For many threads at once, each id is made once."""
    ids = IdGenerator()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: ids.new(number), range(5000)))
    assert len(set(made)) == 5000
    assert made == sorted(made)
    assert {len(id) for id in made} == {36}


def test_a_forked_process_makes_ids_of_its_own() -> None:
    """The random parts that the parent has left are not used twice."""
    ids = IdGenerator()
    ids.new(1.0)
    with mock.patch("os.getpid", return_value=os.getpid() + 1):
        child = copy.copy(ids)
        theirs = {child.new(1.0) for _ in range(100)}
    assert theirs.isdisjoint(ids.new(1.0) for _ in range(100))

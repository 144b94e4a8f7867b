"""Suspended work that nobody wants to hear of any more."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from dewar.server.loop.suspended import OFF_LOOP, ON_LOOP, Suspended, begin


class Body:
    """A result that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"body"])

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_what_nobody_iterates_is_done_all_the_same(is_forgotten: bool) -> None:
    """By its close, or at the latest when nobody has it any more; its result is closed."""
    done: list[str] = []
    body = Body()

    async def work() -> Iterable[bytes]:
        await ON_LOOP
        await asyncio.sleep(0)
        done.append("waited")
        await OFF_LOOP
        done.append("blocked")
        return body

    suspended: Any = begin(work())
    if is_forgotten:
        del suspended
    else:
        suspended.close()
        assert suspended.place is None
    assert done == ["waited", "blocked"]
    assert body.closed == 1


def test_what_was_not_begun_is_left_alone() -> None:
    """It does nothing, and no warning is given."""

    async def work() -> Iterable[bytes]:
        raise AssertionError

    Suspended(work(), ON_LOOP, is_wholly_async=True)

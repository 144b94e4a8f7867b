"""Where in a program an error comes from."""

import asyncio
import json
from pathlib import Path

import pytest

from dewar.support.error_place import place_of


def caught(work) -> BaseException:
    """Return the error of a call."""
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError


def line_of(text: str) -> str:
    """Return how the line of this file with a text is named."""
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    lines = [number for number, line in enumerate(source, 1) if text in line]
    return f"line {lines[0]} of {__file__}"


def fail() -> None:
    raise ValueError  # here


async def wait() -> None:
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task  # in a coroutine


def test_it_is_the_last_line_of_the_program() -> None:
    """And not where asyncio or Dewar pass the error on."""
    assert place_of(caught(fail)) == line_of("# here")
    assert place_of(caught(lambda: asyncio.run(wait()))) == line_of("# in a coroutine")


def test_a_library_belongs_to_the_program() -> None:
    """Its line says more than the call of it."""
    assert "json" in place_of(caught(lambda: json.loads("{")))


@pytest.mark.parametrize("error", [ValueError(), asyncio.CancelledError()])
def test_an_error_without_a_traceback_comes_from_nowhere(error: BaseException) -> None:
    """It was never raised."""
    assert place_of(error) == "an unknown line"

"""Functions for the begin and the end of serving."""

import os
from unittest import mock

import pytest

from dewar import Dewar


def make_app(calls: list[object]) -> Dewar:
    app = Dewar(__name__)
    app.on_start(lambda: calls.append("a"))
    app.on_start(lambda: calls.append("b"))
    app.on_stop(lambda _left: calls.append("-a"))
    app.on_stop(lambda _left: calls.append("-b"))
    return app


def test_functions_run_once_in_order_and_back() -> None:
    """Start functions run in order, stop functions the other way round, each once."""
    calls: list[object] = []
    app = make_app(calls)
    app.begin_serving()
    app.begin_serving()
    app.end_serving(1.0)
    app.end_serving(1.0)
    assert calls == ["a", "b", "-b", "-a"]


def test_what_never_began_does_not_end() -> None:
    """Without a begin there is nothing to end."""
    calls: list[object] = []
    make_app(calls).end_serving(1.0)
    assert calls == []


def test_a_forked_process_begins_for_itself() -> None:
    """What the parent has begun is begun again in a child, and the child ends only its own."""
    calls: list[object] = []
    app = make_app(calls)
    app.begin_serving()
    with mock.patch("os.getpid", return_value=os.getpid() + 1):
        app.end_serving(1.0)
        assert calls == ["a", "b"]
        app.begin_serving()
    assert calls == ["a", "b", "a", "b"]


def test_all_stop_functions_run_even_if_one_fails() -> None:
    """The first error is raised, after the others have run; each gets what time is left."""
    calls: list[object] = []
    app = Dewar(__name__)
    app.on_stop(calls.append)

    @app.on_stop
    def fail(left: float) -> None:
        raise OSError("no")

    app.begin_serving()
    with pytest.raises(OSError, match="no"):
        app.end_serving(5.0)
    assert len(calls) == 1
    assert 4 < calls[0] <= 5  # type: ignore[operator]


def test_a_start_that_fails_is_raised_and_begins_again() -> None:
    """An error in a start function reaches the server, and the next begin tries again."""
    app = Dewar(__name__)
    tries = []

    @app.on_start
    def fail() -> None:
        tries.append(1)
        raise OSError("no database")

    for _ in range(2):
        with pytest.raises(OSError, match="no database"):
            app.begin_serving()
    assert len(tries) == 2

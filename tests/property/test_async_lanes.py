"""An app answers alike wherever its coroutines run, and as it would without any.

Each way takes the same random app: as our server does it, with the request going to and fro
between threads and the event loop; as middleware does; as any other WSGI server does; with every
stage overridden; and, without coroutines, on Flask.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from hypothesis import given, settings

import dewar
from asyncapps import Behaviour, Builder, Slot, behaviours
from suspendedtools import Asker, Outcome, make_environ


class FullLane(dewar.Dewar):
    """Overriding any stage sends every request through the full lane."""

    def dispatch_request(self) -> Any:
        """Do as the parent does."""
        return super().dispatch_request()


class OwnContext(dewar.Dewar):
    """Such a class has two contexts for each request."""

    def app_context(self) -> Any:
        """Do as the parent does."""
        return super().app_context()


Answered = tuple[Outcome, list[Any]]


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return the one thread off the loop that apps run on."""
    with ThreadPoolExecutor(1, "off-the-loop") as executor:
        yield executor


def answer(
    framework: Any, app_class: Any, behaviour: Behaviour, threads: ThreadPoolExecutor, way: str
) -> Answered | None:
    """Return what an app answers and what its functions noted; None where it cannot be asked so."""
    cookie = {"HTTP_COOKIE": "session=broken"} if behaviour.has_cookie else {}
    environ = make_environ(behaviour.method, behaviour.path, **cookie)
    with Builder(framework, app_class, behaviour).traced() as made:
        outcome = getattr(Asker(made.app, environ, threads), way)()
    assert not made.misplaced
    return None if outcome is None else (outcome, made.notes)


@settings(max_examples=300)
@given(behaviours())
def test_every_lane_answers_alike(threads: ThreadPoolExecutor, behaviour: Behaviour) -> None:
    """The same status, fields, body and errors, and the same calls in the same order."""
    logging.getLogger("lanes").disabled = True
    twin = answer(dewar, dewar.Dewar, behaviour.twin(), threads, "by_calling")
    for way in ("by_suspending", "by_iterating", "by_calling"):
        assert answer(dewar, dewar.Dewar, behaviour, threads, way) == twin, way
    assert answer(dewar, FullLane, behaviour, threads, "by_suspending") == twin
    assert answer(dewar, dewar.Dewar, behaviour, threads, "on_loop") in (twin, None)
    if not behaviour.is_beyond_flask:
        assert answer(flask, flask.Flask, behaviour.twin(), threads, "by_calling") == twin


@settings(max_examples=60)
@given(behaviours())
def test_an_app_with_contexts_of_its_own_answers_alike(
    threads: ThreadPoolExecutor, behaviour: Behaviour
) -> None:
    """With and without coroutines, on our server and on any."""
    twin = answer(dewar, OwnContext, behaviour.twin(), threads, "by_calling")
    for way in ("by_suspending", "by_calling"):
        assert answer(dewar, OwnContext, behaviour, threads, way) == twin, way


@settings(max_examples=40)
@given(behaviours())
def test_flask_answers_alike(threads: ThreadPoolExecutor, behaviour: Behaviour) -> None:
    """With its own way to call the same coroutine functions."""
    pytest.importorskip("asgiref")
    tamed = behaviour.tamed()
    ours = answer(dewar, dewar.Dewar, tamed, threads, "by_suspending")
    assert answer(flask, flask.Flask, tamed, threads, "by_calling") == ours


def test_the_lanes_of_this_test_are_there(threads: ThreadPoolExecutor) -> None:
    """An app of coroutines alone is answered on the loop alone, and any other is not."""
    view = Slot("view", is_async=True)
    wholly = Behaviour((Slot("before_request", is_async=True),), view, "str")
    partly = Behaviour((Slot("before_request"),), view, "str")
    assert answer(dewar, dewar.Dewar, wholly, threads, "on_loop") is not None
    assert answer(dewar, dewar.Dewar, partly, threads, "on_loop") is None

"""A refused handshake is answered as any other request is, wherever it is answered.

Each way takes the same random app, whose view does not accept: as our server does it, as
middleware does, as any other WSGI server does, and with every stage overridden. The answers and
the calls are those of a plain request for the same view.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

import dewar
from asyncapps import Behaviour, Builder, Slot, behaviours
from dewar.environ_keys import UPGRADE
from dewar.registration.websocket_views import websocket_view
from suspendedtools import Asker, Outcome, make_environ

HANDSHAKE = {
    "HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket", "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "ZGV3YXIgdGVzdCBjbGllbg==",
    UPGRADE: partial(pytest.fail, "accepted"),
}  # fmt: skip


class FullLane(dewar.Dewar):
    """Overriding any stage sends every request through the full lane."""

    def dispatch_request(self) -> Any:
        """Do as the parent does."""
        return super().dispatch_request()


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return the one thread off the loop that apps run on."""
    with ThreadPoolExecutor(1, "off-the-loop") as executor:
        yield executor


def answer(
    app_class: Any, behaviour: Behaviour, threads: ThreadPoolExecutor, way: str
) -> tuple[Outcome, list[Any]] | None:
    """Return the answer to a handshake and what the functions noted; None if not asked so."""
    return _ask(app_class, behaviour, threads, way, HANDSHAKE)


def plain_answer(behaviour: Behaviour, threads: ThreadPoolExecutor) -> Any:
    """Return the same for a plain request, whose view is the same."""
    return _ask(dewar.Dewar, behaviour, threads, "by_calling", {})


def _ask(
    app_class: Any, behaviour: Behaviour, threads: Any, way: str, handshake: dict[str, Any]
) -> Any:
    cookie = {"HTTP_COOKIE": "session=broken"} if behaviour.has_cookie else {}
    environ = make_environ("GET", behaviour.path, **cookie, **handshake)
    with Builder(dewar, app_class, behaviour).traced() as made:
        if handshake:
            _make_websockets(made.app)
        outcome = getattr(Asker(made.app, environ, threads), way)()
    assert not made.misplaced
    return None if outcome is None else (outcome, made.notes)


def _make_websockets(app: Any) -> None:
    """Have each view refuse a WebSocket."""
    for rule in app.url_map.iter_rules():
        rule.websocket = True
    for endpoint, view in list(app.view_functions.items()):

        async def refuse(ws: Any, view: Any = view, **values: Any) -> Any:
            return await view(**values)

        app.view_functions[endpoint] = websocket_view(refuse, endpoint, None)


def refusing(behaviour: Behaviour) -> Behaviour:
    """Return the same with a GET, a view that can be a WebSocket's, and no redirect to ``ws:``."""
    path = "/bp/dir/" if behaviour.path == "/bp/dir" else behaviour.path
    view = replace(behaviour.view, is_async=True)
    return replace(behaviour, method="GET", path=path, view=view)


@settings(max_examples=200, deadline=None)
@given(behaviours().map(refusing))
def test_every_lane_refuses_alike(threads: ThreadPoolExecutor, behaviour: Behaviour) -> None:
    """The same status, fields, body and errors, and the same calls in the same order."""
    logging.getLogger("lanes").disabled = True
    plain = plain_answer(behaviour, threads)
    for way in ("by_suspending", "by_iterating", "by_calling"):
        assert answer(dewar.Dewar, behaviour, threads, way) == plain, way
    assert answer(FullLane, behaviour, threads, "by_suspending") == plain
    assert answer(dewar.Dewar, behaviour, threads, "on_loop") in (plain, None)


def test_the_lanes_of_this_test_are_there(threads: ThreadPoolExecutor) -> None:
    """An app of coroutines alone is answered on the loop alone, and any other is not."""
    view = Slot("view", is_async=True)
    wholly = Behaviour((Slot("before_request", is_async=True),), view, "str")
    partly = Behaviour((Slot("before_request"),), view, "str")
    assert answer(dewar.Dewar, wholly, threads, "on_loop") is not None
    assert answer(dewar.Dewar, partly, threads, "on_loop") is None

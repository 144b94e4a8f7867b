"""Every lane finds the same rule, checks the same host and gives the same answer as Flask.

Each lane takes the same random app and request: the fast, full and suspendable lane, the event loop
where it can, and Flask. The server's loop is in `tests/server/test_server_async_routing.py`.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import flask
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dewar
from routedapps import Asked, FullLane, Routed, build, requests, routed_apps
from suspendedtools import Asker, Outcome


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return the one thread off the loop that apps run on."""
    with ThreadPoolExecutor(1, "off-the-loop") as executor:
        yield executor


def answers(
    app: Any, asked: list[Asked], threads: ThreadPoolExecutor, way: str
) -> list[Outcome | None]:
    """Return what an app answers; None where it cannot be asked so."""
    return [getattr(Asker(app, each.environ(), threads), way)() for each in asked]


def known(routed: Routed, *asked: Asked) -> Any:
    """Return an example."""
    return example(routed, list(asked))


EVIL = Asked(host="evil.example")
ASYNC = Routed(is_async=True)


@pytest.mark.filterwarnings("ignore:Current server name")
@settings(max_examples=60)
@given(routed_apps, st.lists(requests, min_size=1, max_size=8))
@known(replace(ASYNC, trusted="config"), EVIL, Asked())
@known(replace(ASYNC, request_class="trusted"), EVIL)
@known(Routed(request_class="trusted"), EVIL, Asked())
@known(Routed(guards=True), Asked("x/admin/users"), Asked("admin/users"), Asked("item/7"))
@known(replace(ASYNC, guards=True), Asked("x/admin/users"), Asked("admin/users"), Asked("item/7"))
@known(Routed(handles=True), Asked("/own/gone"), Asked("/own/broken"), Asked("/own/pen"))
@known(ASYNC, Asked("/own/gone"), Asked("/own/broken"), Asked("/own/invalid"), Asked("/own/pen"))
def test_every_lane_routes_alike(
    threads: ThreadPoolExecutor, routed: Routed, asked: list[Asked]
) -> None:
    """The same status, fields and body, whatever the path, the host and the app's own classes."""
    logging.getLogger("lanes").disabled = True
    twin = replace(routed, is_async=False)
    theirs = answers(build(flask, flask.Flask, twin), asked, threads, "by_calling")
    assert answers(build(dewar, dewar.Dewar, twin), asked, threads, "by_calling") == theirs
    full = build(dewar, FullLane, routed)
    assert answers(full, asked, threads, "by_suspending") == theirs
    app = build(dewar, dewar.Dewar, routed)
    for way in ("by_suspending", "by_iterating", "by_calling"):
        assert answers(app, asked, threads, way) == theirs, way
    for ours, known_ in zip(answers(app, asked, threads, "on_loop"), theirs, strict=True):
        assert ours in (known_, None)


def test_the_loop_is_a_lane_of_this_test(threads: ThreadPoolExecutor) -> None:
    """A plain request of an async app is answered on the loop; one to check or convert is not."""

    def is_for_loop(routed: Routed, path: str = "/") -> bool:
        app = build(dewar, dewar.Dewar, routed)
        return answers(app, [Asked(path)], threads, "on_loop") != [None]

    assert is_for_loop(ASYNC)
    assert not is_for_loop(ASYNC, "/own/pen")
    assert not is_for_loop(replace(ASYNC, trusted="config"))
    assert not is_for_loop(replace(ASYNC, request_class="trusted"))
    assert not is_for_loop(Routed())

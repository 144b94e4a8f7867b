"""A program with names of its own on the server: by its threads and by the event loop."""

from collections.abc import Iterator
from typing import Any

import pytest

from dewar import Dewar
from programnames import DEWAR, TAKEN, Program, free_names
from servertools import Served

NAMES = {kind: dict.fromkeys(free_names(kind), TAKEN) for kind in ("app", "blueprint", "provider")}
#: The members that only Dewar has, under whose names a server would look for its own.
MEMBERS = dict.fromkeys(
    ("after_response", "begin_on_loop", "begin_serving", "body_limit_for", "end_serving", "mount",
     "mounts", "on_start", "on_stop"), TAKEN,
)  # fmt: skip


@pytest.fixture(params=["class", "instance"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Served, list[str]]]:
    """Return a served program, and what it did at its start and its end."""
    names: dict[str, Any] = {**NAMES, "app": {**NAMES["app"], **MEMBERS}}
    given = (names, {}) if request.param == "class" else ({}, names)
    calls: list[str] = []
    app = Program(DEWAR, *given, is_async=True).app
    assert app.mounts is TAKEN
    Dewar.on_start(app, lambda: calls.append("started"))
    Dewar.on_stop(app, lambda timeout: calls.append("stopped"))
    served = Served(app, None, {"threads": 2})
    yield served, calls
    served.stop()
    assert calls == ["started", "stopped"]


def test_a_program_with_any_names_is_served(served: tuple[Served, list[str]]) -> None:
    """Its start and end are seen to, its bodies have limits, and its coroutines run on the loop."""
    server, calls = served
    client = server.client()
    assert calls == ["started"]
    for target, body in (("/", b"index"), ("/json", b'{"a":["GET"],"b":1}\n'), ("/item/7", b"7")):
        assert client.get(target)[2] == body
    assert client.get("/fail")[0].startswith(b"HTTP/1.1 500")
    client.send(b"POST /data HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nraw")
    assert client.answer()[2] == b"raw"
    client.close()

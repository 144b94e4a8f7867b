"""Requests for WebSocket, and the bytes behind them."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import WireRequest
from upgradetools import ask

PLAIN = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"


def make_reader() -> RequestReader[WireRequest]:
    base = {"SERVER_PROTOCOL": "HTTP/1.1"}
    return RequestReader(base, FieldNames(), Limits(), WireRequest)


def targets(reader: RequestReader[WireRequest]) -> list[str]:
    """Remove the complete requests of a reader, and return their targets."""
    found = []
    while reader.advance():
        found.append(reader.completed.pop(0).target)
    return found


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Cut data where it is long enough for that."""
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    return (data[start:end] for start, end in itertools.pairwise(places))


def phase_after(old: bytes, new: bytes) -> ReadPhase:
    """Read a request for WebSocket that is written in another way, and return the phase."""
    reader = make_reader()
    reader.feed(ask("/ws").replace(old, new, 1))
    return reader.phase


@given(rest=st.binary(max_size=80), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_what_follows_is_held_as_it_came(rest: bytes, cuts: list[int]) -> None:
    """However the bytes are split: nothing of it is read as HTTP."""
    reader = make_reader()
    found: list[str] = []
    for piece in pieces(PLAIN + ask("/ws") + rest, cuts):
        reader.feed(piece)
        found += targets(reader)
    assert (found, reader.phase) == (["/plain"], ReadPhase.UPGRADE)
    request = reader.take_upgrade()
    assert (request.target, request.body, request.keep_alive) == ("/ws", None, True)
    assert reader.held() == rest
    reader.discard()
    assert reader.phase is ReadPhase.ENDED
    reader.feed(PLAIN)
    assert reader.completed == []


@given(cuts=st.lists(st.integers(0, 300), max_size=6))
def test_http_goes_on_behind_one_that_is_declined(cuts: list[int]) -> None:
    """With what was held, and what comes later."""
    reader = make_reader()
    found: list[str] = []
    for piece in pieces(ask("/ws") + PLAIN + ask("/again") + PLAIN, cuts):
        reader.feed(piece)
        found += targets(reader)
        while reader.phase is ReadPhase.UPGRADE:
            found.append(reader.take_upgrade().target)
            found += targets(reader)
    assert found == ["/ws", "/plain", "/again", "/plain"]
    assert reader.phase is ReadPhase.START


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET", b"HEAD"),
        (b"GET", b"get"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Upgrade: websocket", b"Upgrade: web socket"),
        (b"Upgrade: websocket", b"Upgrade: websocket/13"),
        (b"Upgrade: websocket", b"X-Upgrade: websocket"),
        (b"keep-alive, Upgrade", b"upgrades"),
        (b"keep-alive, Upgrade", b"close, Upgrade"),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nContent-Length: 1"),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nTransfer-Encoding: chunked"),
    ],
)
def test_any_other_request_is_none(old: bytes, new: bytes) -> None:
    """RFC 6455 §4.1: a GET of HTTP/1.1, with both fields, and here without a body."""
    assert phase_after(old, new) is not ReadPhase.UPGRADE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"keep-alive, Upgrade", b"UPGRADE"),
        (b"keep-alive, Upgrade", b"upgrade , keep-alive"),
        (b"keep-alive, Upgrade", b"x\r\nConnection: upgrade"),
        (b"Upgrade: websocket", b"upgrade: WebSocket"),
        (b"Upgrade: websocket", b"Upgrade: h2c, websocket"),
        (b"Upgrade: websocket", b"Upgrade: h2c\r\nUpgrade: websocket"),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nContent-Length: 0"),
    ],
)
def test_each_way_to_write_it_is_one(old: bytes, new: bytes) -> None:
    """RFC 9110 §7.8: lists of names, which are not case-sensitive."""
    assert phase_after(old, new) is ReadPhase.UPGRADE

"""The opening handshake: what is accepted, what is refused, and what is answered."""

from typing import Any

import pytest

from dewar.websocket.acceptance import accept_key, acceptance, header_lines
from dewar.websocket.errors import HandshakeError, WebSocketValueError
from dewar.websocket.opening_handshake import OpeningHandshake, read_handshake
from websockettools import environ_of

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": "example.org",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def handshake(
    *more: str, line: str = "GET /chat HTTP/1.1", **changed: str | None
) -> OpeningHandshake:
    """Read a request with some fields changed, or left out, and others added."""
    fields = dict(FIELDS)
    for name, value in changed.items():
        key = name.replace("_", "-")
        if value is None:
            del fields[key]
        else:
            fields[key] = value
    lines = [f"{name}: {value}" for name, value in fields.items()]
    return read_handshake(environ_of("\r\n".join([line, *lines, *more]).encode()))


def refusal(*more: str, **options: str | None) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        handshake(*more, **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "keep-alive,upgrade"},
        {"Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4PEC=="},
        {"line": "GET /chat HTTP/1.1"},
    ],
    ids=str,
)
def test_a_handshake_is_read(options: dict[str, str]) -> None:
    """In the forms that RFC 6455 and RFC 9110 allow."""
    key = options.get("Sec-WebSocket-Key", KEY)
    assert handshake(**options) == OpeningHandshake(key)


@pytest.mark.parametrize(
    "options",
    [
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "not-upgrade"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": KEY[:-1]},
        {"Sec-WebSocket-Key": KEY + "="},
        {"Sec-WebSocket-Key": "AAAA" + KEY},
        {"Sec-WebSocket-Key": KEY.replace("d", "-")},
        {"Sec-WebSocket-Key": KEY.replace("d", "é")},
        {"Sec-WebSocket-Key": f"{KEY},{KEY}"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Version": ""},
        {"Sec-WebSocket-Version": "thirteen"},
        {"Sec-WebSocket-Version": "013"},
        {"Sec-WebSocket-Version": "13, 13"},
        {"Sec-WebSocket-Version": "13,8"},
        {"Sec-WebSocket-Version": "256"},
        {"Sec-WebSocket-Version": "-1"},
        {"Sec-WebSocket-Protocol": ""},
        {"Sec-WebSocket-Protocol": ","},
        {"Sec-WebSocket-Protocol": "chat, chat"},
        {"Sec-WebSocket-Protocol": "chat room"},
        {"Sec-WebSocket-Protocol": "chat;q=1"},
        {"Sec-WebSocket-Extensions": ""},
        {"Sec-WebSocket-Extensions": ", ,"},
        {"Sec-WebSocket-Extensions": ";"},
        {"Sec-WebSocket-Extensions": "permessage-deflate;"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; ="},
        {"Sec-WebSocket-Extensions": "permessage-deflate; a=b c"},
        {"Sec-WebSocket-Extensions": 'permessage-deflate; a="b c"'},
        {"Sec-WebSocket-Extensions": 'permessage-deflate; a="b'},
        {"Sec-WebSocket-Extensions": "permessage deflate"},
        {"Origin": ""},
        {"Origin": "https://a.example, https://b.example"},
        {"Origin": "https://a.example https://b.example"},
        {"line": "POST /chat HTTP/1.1"},
        {"line": "GET /chat HTTP/1.0"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
    ],
    ids=str,
)
def test_a_malformed_handshake_is_a_bad_request(options: dict[str, str | None]) -> None:
    """Whatever is missing or wrong in it."""
    error = refusal(**options)
    assert (error.status, error.headers) == (400, ())


@pytest.mark.parametrize(
    "field",
    [
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Version: 8",
    ],
)
def test_a_doubled_field_is_a_bad_request(field: str) -> None:
    """Where only one may be."""
    assert refusal(field).status == 400


def test_doubled_lists_are_joined() -> None:
    """The fields of subprotocols and extensions may be there several times."""
    read = handshake(
        "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b , c",
        "Sec-WebSocket-Extensions: x", "Sec-WebSocket-Extensions: y; z=1",
    )  # fmt: skip
    assert read.subprotocols == ("a", "b", "c")
    assert read.extensions == "x,y; z=1"


@pytest.mark.parametrize("version", ["0", "8", "12", "14", "25", "255"])
def test_another_version_is_told_the_right_one(version: str) -> None:
    """With status 426 and the version that is spoken (RFC 6455, section 4.4)."""
    error = refusal(Sec_WebSocket_Version=version)
    assert error.status == 426
    assert ("Sec-WebSocket-Version", "13") in error.headers
    assert ("Upgrade", "websocket") in error.headers


@pytest.mark.parametrize("upgrade", [None, "", "h2c", "websockets"])
def test_what_is_no_handshake_is_told_to_upgrade(upgrade: str | None) -> None:
    """With status 426 and the field that has to go with it (RFC 9110, section 15.5.22)."""
    error = refusal(Upgrade=upgrade)
    assert error.status == 426
    assert error.headers == (("Upgrade", "websocket"), ("Connection", "Upgrade"))


@pytest.mark.parametrize("origin", ["https://example.org", "http://[::1]:8000", "null"])
def test_the_origin_is_read(origin: str) -> None:
    """As the browser sends it."""
    assert handshake(Origin=origin).origin == origin


def test_the_key_is_answered() -> None:
    """With the example of RFC 6455, section 1.3."""
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_acceptance_has_what_was_chosen() -> None:
    """And more header fields, but for those of a body, which it does not have."""
    request = OpeningHandshake(KEY, ("chat", "superchat"))
    more = [("Set-Cookie", "a=b"), ("Content-Type", "text/html"), ("Content-Length", "0")]
    head = acceptance(request, "chat", "permessage-deflate", more)
    assert head.decode().splitlines() == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Set-Cookie: a=b",
    ]


def test_a_subprotocol_that_nobody_offered_is_refused() -> None:
    """The error names those that are offered."""
    with pytest.raises(WebSocketValueError, match="'chat', 'superchat'"):
        acceptance(OpeningHandshake(KEY, ("chat", "superchat")), "Chat", None, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "x"), ("connection", "close"), ("Sec-WebSocket-Accept", "x"),
        ("Sec-WebSocket-Protocol", "chat"), ("X-A", "a\r\nX-B: b"), ("X-A", "\x00"),
        ("X A", "b"), ("", "b"), ("X-A", "€"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_sent_is_refused(name: str, value: str) -> None:
    """Those of the handshake, and those that would be two."""
    with pytest.raises(WebSocketValueError, match="header field"):
        header_lines([(name, value)])


@pytest.mark.parametrize(
    "headers",
    [{"X-Name": "value"}, {"ab": "c"}, [("X-Count", 5)], ["ab"], [("a", "b", "c")], [5]],
    ids=str,
)
def test_what_is_no_pair_of_texts_is_refused(headers: Any) -> None:
    """The error shows how to write it; the letters of a name could pass for a field."""
    with pytest.raises(WebSocketValueError, match=r"headers=\[\('X-Name', 'value'\)\]"):
        header_lines(headers)

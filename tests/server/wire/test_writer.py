"""`HeadWriter`: heads as bytes, and what an application may not send."""

import pytest

from dewar.server.errors import ApplicationError, Refusal
from dewar.server.wire.writer import Framing, HeadWriter, chunk

PLAIN = [("Content-Type", "text/plain")]


def writer() -> HeadWriter:
    return HeadWriter("Dewar", 0.0)


def lines(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n")[:-2]


def test_a_head_has_the_applications_fields_and_the_servers() -> None:
    """Length, Server and Date are added where they are missing."""
    head, framing, count, stays = writer().compose("200 OK", PLAIN, True, True, 5)
    assert lines(head) == [
        "HTTP/1.1 200 OK", "Content-Type: text/plain", "Content-Length: 5", "Server: Dewar",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    ]  # fmt: skip
    assert (framing, count, stays) == (Framing.LENGTH, 5, True)


def test_what_the_application_says_of_itself_is_kept() -> None:
    """Its own Date, Server and Content-Length go out, once."""
    own = [("date", "now"), ("SERVER", "mine"), ("content-length", "7")]
    head, framing, count, _ = writer().compose("200 OK", own, True, True, 5)
    assert lines(head) == ["HTTP/1.1 200 OK", "date: now", "SERVER: mine", "content-length: 7"]
    assert (framing, count) == (Framing.LENGTH, 7)


@pytest.mark.parametrize(
    ("http11", "keep_alive", "size", "framing", "stays", "extra"),
    [
        (True, True, None, Framing.CHUNKED, True, ["Transfer-Encoding: chunked"]),
        (True, False, 1, Framing.LENGTH, False, ["Content-Length: 1", "Connection: close"]),
        (False, True, 1, Framing.LENGTH, True, ["Content-Length: 1", "Connection: keep-alive"]),
        (False, True, None, Framing.CLOSE, False, ["Connection: close"]),
    ],
)
def test_the_framing_follows_from_version_and_size(
    http11: bool,
    keep_alive: bool,
    size: int | None,
    framing: Framing,
    stays: bool,
    extra: list[str],
) -> None:
    """Length where it is known, chunks where they are understood, else the connection's end."""
    head, found, _, keeps = writer().compose("200 OK", [], http11, keep_alive, size)
    assert (found, keeps) == (framing, stays)
    assert lines(head)[1:-2] == extra


@pytest.mark.parametrize(
    ("status", "kept"), [("204 No Content", False), ("304 Not Modified", True)]
)
def test_some_statuses_have_no_body(status: str, kept: bool) -> None:
    """A 204 has no length at all, a 304 may have one (RFC 9110 §8.6)."""
    head, framing, count, _ = writer().compose(status, [("Content-Length", "9")], True, True, 3)
    assert (framing, count) == (Framing.NONE, 0)
    assert (b"Content-Length: 9" in head) is kept


def test_fields_between_two_hops_are_the_servers_business() -> None:
    """They are dropped, but a wish to close is heeded."""
    fields = [
        ("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"),
        ("X", "y"),
    ]  # fmt: skip
    head, _, _, stays = writer().compose("200 OK", fields, True, True, 1)
    assert not stays
    assert lines(head)[1:-2] == ["X: y", "Content-Length: 1", "Connection: close"]


@pytest.mark.parametrize(
    ("http11", "keep_alive", "options"),
    [
        (True, True, "Upgrade"), (True, False, "Upgrade, close"),
        (False, True, "Upgrade, keep-alive"), (False, False, "Upgrade, close"),
    ],
)  # fmt: skip
def test_a_426_names_the_protocol(http11: bool, keep_alive: bool, options: str) -> None:
    """RFC 9110 §15.5.22 and §7.8: Upgrade has to be there, and Connection has to name it."""
    head, *_ = writer().compose("426 Upgrade Required", [], http11, keep_alive, 0)
    named = ["Content-Length: 0", "Upgrade: websocket", f"Connection: {options}"]
    assert lines(head)[1:-2] == named


def test_an_application_may_name_another_protocol_in_a_426() -> None:
    """Nothing else of what is between two hops is let through, and nothing in other answers."""
    fields = [
        ("connection", "Upgrade, x"), ("upgrade", "TLS/1.2"), ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "timeout=5"), ("X", "y"),
    ]  # fmt: skip
    named = ["Content-Length: 0", "upgrade: TLS/1.2", "Connection: Upgrade"]
    assert lines(writer().compose("426 Other", fields, True, True, 0)[0])[1:-2] == ["X: y", *named]
    for status in ("200 OK", "400 Bad Request", "424 Failed"):
        head, *_ = writer().compose(status, fields, True, True, 0)
        assert lines(head)[1:-2] == ["X: y", "Content-Length: 0"]


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b", "\r\nSet-Cookie: x=1"])
def test_a_value_with_a_line_end_is_refused_every_time(bad: str) -> None:
    """Whoever chose it could write the rest of the response (CWE-113)."""
    made = writer()
    for _ in range(3):
        with pytest.raises(ApplicationError, match="'X' contains a CR, LF or NUL"):
            made.compose("200 OK", [("X", bad)], True, True, 1)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "a\0", 7, b"x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """RFC 9110 §5.6.2: a token."""
    with pytest.raises(ApplicationError, match="is not a valid name of a response header"):
        writer().compose("200 OK", [(name, "x")], True, True, 1)


@pytest.mark.parametrize("status", ["600 Odd", "999", "799 "])
def test_a_status_above_those_of_http_is_sent(status: str) -> None:
    """Programs use them among themselves (RFC 9110 §15)."""
    assert writer().compose(status, [], True, True, 1)[0].startswith(f"HTTP/1.1 {status}".encode())


@pytest.mark.parametrize(
    "status", ["OK", "20 OK", "100 Continue", "200\r\nX: y", "1000 x", 200, ""]
)
def test_a_status_that_is_none_is_refused(status: str) -> None:
    """Three digits from 200 up, a space and a reason."""
    with pytest.raises(ApplicationError, match="is not a final status"):
        writer().compose(status, [], True, True, 1)


@pytest.mark.parametrize("length", ["-1", "1.0", "", "0x1", " 1", "1_0", "٣"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    """Its digits say where the body ends."""
    with pytest.raises(ApplicationError, match="is not a number of bytes"):
        writer().compose("200 OK", [("Content-Length", length)], True, True, 1)


def test_two_lengths_are_refused() -> None:
    """Even where they are equal."""
    two = [("Content-Length", "1"), ("content-length", "1")]
    with pytest.raises(ApplicationError, match="two Content-Length"):
        writer().compose("200 OK", two, True, True, 1)


def test_a_reason_may_be_missing_and_its_space_stays() -> None:
    """RFC 9112 §4."""
    head, *_ = writer().compose("299", [], True, True, 0)
    assert head.startswith(b"HTTP/1.1 299 \r\n")


def test_the_memo_of_fields_is_bounded_and_forgets_nothing_it_needs() -> None:
    """An application that makes up fields fills it once, and is served on."""
    made = writer()
    for number in range(5000):
        head, *_ = made.compose("200 OK", [("X", str(number))], True, True, 0)
        assert f"X: {number}\r\n".encode() in head
        assert len(made._fields) <= 2048
    assert repr(made) == "<HeadWriter 904 fields, 1 statuses known>"
    huge = "v" * 5000
    assert huge.encode() in made.compose("200 OK", [("X", huge)], True, True, 0)[0]


def test_the_date_is_renewed() -> None:
    """Once a second is enough."""
    made = writer()
    made.refresh(86400.0)
    assert b"Date: Fri, 02 Jan 1970" in made.compose("200 OK", [], True, True, 0)[0]


def test_a_refusal_is_a_whole_response_that_closes() -> None:
    """It says why, and never what the client sent."""
    answer = writer().refuse(Refusal("400 Bad Request", "There is no Host."))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nThere is no Host.\n")


def test_chunks_say_their_size() -> None:
    """RFC 9112 §7.1."""
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"

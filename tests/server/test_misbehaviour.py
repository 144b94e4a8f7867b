"""What an application does wrong: right for the client, logged for the developer."""

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from servertools import Serve

OK = "200 OK"


def _returns_none(environ: Any, start: Any) -> Any:
    start(OK, [])


def _returns_text(environ: Any, start: Any) -> Any:
    start(OK, [])
    return "text"


def _returns_a_list_of_text(environ: Any, start: Any) -> Any:
    start(OK, [])
    return ["text"]


def _yields_text(environ: Any, start: Any) -> Iterator[Any]:
    start(OK, [])
    yield "text"


def _yields_none(environ: Any, start: Any) -> Iterator[Any]:
    start(OK, [])
    yield None


def _never_starts(environ: Any, start: Any) -> Any:
    return [b"body"]


def _yields_before_it_starts(environ: Any, start: Any) -> Iterator[bytes]:
    yield b"early"
    start(OK, [])


def _starts_twice(environ: Any, start: Any) -> Any:
    start(OK, [])
    start(OK, [])
    return [b""]


def _status_as_bytes(environ: Any, start: Any) -> Any:
    start(b"200 OK", [])
    return [b""]


def _status_as_number(environ: Any, start: Any) -> Any:
    start(200, [])
    return [b""]


def _informational_status(environ: Any, start: Any) -> Any:
    start("103 Early Hints", [])
    return [b""]


def _status_with_a_line_end(environ: Any, start: Any) -> Any:
    start("200 OK\r\nX-Forged: 1", [])
    return [b""]


def _headers_as_a_dict(environ: Any, start: Any) -> Any:
    start(OK, {"Content-Type": "text/plain"})
    return [b""]


def _header_as_a_list(environ: Any, start: Any) -> Any:
    start(OK, [["X-A", "1"]])
    return [b""]


def _value_as_a_number(environ: Any, start: Any) -> Any:
    start(OK, [("Content-Length", 3)])
    return [b"abc"]


def _value_with_a_line_end(environ: Any, start: Any) -> Any:
    start(OK, [("X-A", "1\r\nSet-Cookie: forged=1")])
    return [b""]


def _value_with_a_nul(environ: Any, start: Any) -> Any:
    start(OK, [("X-A", "1\0")])
    return [b""]


def _value_beyond_latin_1(environ: Any, start: Any) -> Any:
    start(OK, [("X-A", "\u20ac")])
    return [b""]


def _name_with_a_colon(environ: Any, start: Any) -> Any:
    start(OK, [("X-A:", "1")])
    return [b""]


def _name_with_a_line_end(environ: Any, start: Any) -> Any:
    start(OK, [("X-A\r\nX-B", "1")])
    return [b""]


def _two_lengths(environ: Any, start: Any) -> Any:
    start(OK, [("Content-Length", "3"), ("content-length", "4")])
    return [b"abc"]


def _length_that_is_none(environ: Any, start: Any) -> Any:
    start(OK, [("Content-Length", "-3")])
    return [b"abc"]


def _raises(environ: Any, start: Any) -> Any:
    raise ZeroDivisionError


def _raises_after_it_started(environ: Any, start: Any) -> Any:
    start(OK, [])
    raise ZeroDivisionError


def _raises_before_the_first_part(environ: Any, start: Any) -> Iterator[bytes]:
    start(OK, [])
    if environ:
        raise ZeroDivisionError
    yield b""


def _exits(environ: Any, start: Any) -> Any:
    sys.exit(3)


def _interrupts(environ: Any, start: Any) -> Any:
    raise KeyboardInterrupt


def _recurses(environ: Any, start: Any) -> Any:
    return _recurses(environ, start)


BEFORE_THE_HEAD = {
    function.__name__[1:]: function
    for function in (
        _returns_none, _returns_text, _returns_a_list_of_text, _yields_text, _yields_none,
        _never_starts, _yields_before_it_starts, _starts_twice, _status_as_bytes,
        _status_as_number, _informational_status, _status_with_a_line_end, _headers_as_a_dict,
        _header_as_a_list, _value_as_a_number, _value_with_a_line_end, _value_with_a_nul,
        _value_beyond_latin_1, _name_with_a_colon, _name_with_a_line_end, _two_lengths,
        _length_that_is_none, _raises, _raises_after_it_started, _raises_before_the_first_part,
        _exits, _interrupts, _recurses,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE_THE_HEAD)
def test_a_mistake_before_the_head_is_out_is_a_500(
    serve: Serve, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """One that says nothing of it; the log does, and the connection goes on."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/well":
            start_response(OK, [])
            return [b"well"]
        return BEFORE_THE_HEAD[name](environ, start_response)

    client = serve(app).client()
    with caplog.at_level(logging.ERROR, "dewar.server"):
        status, fields, body = client.get("/wrong")
        assert status == b"HTTP/1.1 500 Internal Server Error"
        assert body == b"Internal Server Error\n"
        assert not {b"x-a", b"x-b", b"x-forged", b"set-cookie"} & fields.keys()
        assert client.get("/well")[2] == b"well"
    assert "<Request GET '/wrong'> failed" in caplog.text


def test_a_mistake_in_a_head_request_is_a_500_without_a_body(serve: Serve, quiet: None) -> None:
    """The client does not wait for one."""
    client = serve(_raises).client()
    for _ in range(2):
        status, _, body = client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, body) == (b"HTTP/1.1 500 Internal Server Error", b"")


def test_an_error_replaces_the_head_that_is_not_out(serve: Serve) -> None:
    """With exc_info, as PEP 3333 has it."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(OK, [("X-First", "1")])
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("503 Trouble", [("X-Second", "1")], sys.exc_info())
        return [b"trouble"]

    status, fields, body = serve(app).client().get()
    assert (status, body) == (b"HTTP/1.1 503 Trouble", b"trouble")
    assert b"x-second" in fields
    assert b"x-first" not in fields


def test_exc_info_after_the_head_is_raised_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The application hears that it is too late, and the client sees a cut."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(OK, [])
        yield b"begun"
        try:
            raise ZeroDivisionError("the first cause")
        except ZeroDivisionError:
            start_response("500 Trouble", [], sys.exc_info())
        yield b"never"

    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    data = client.rest()
    assert b"begun" in data
    assert b"never" not in data
    assert not data.endswith(b"0\r\n\r\n")
    assert "the first cause" in caplog.text


def test_a_close_that_fails_costs_a_line_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The response is out by then, and was right."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"right"

        def close(self) -> None:
            raise ZeroDivisionError("in close()")

    def app(environ: Any, start_response: Any) -> Any:
        start_response(OK, [])
        return Body()

    client = serve(app).client()
    assert client.get()[2] == b"right"
    assert client.get()[2] == b"right"
    assert "in close()" in caplog.text


def test_what_the_application_does_to_the_environ_ends_with_the_request(serve: Serve) -> None:
    """Also where all requests of a connection are alike."""

    def app(environ: Any, start_response: Any) -> Any:
        found = environ.get("left.behind", "nothing")
        environ["left.behind"] = "something"
        environ["HTTP_HOST"] = "forged"
        del environ["PATH_INFO"], environ["REQUEST_METHOD"]
        start_response(OK, [])
        return [found.encode()]

    client = serve(app, access_log=True).client()
    for _ in range(3):
        assert client.get()[2] == b"nothing"


def test_a_method_that_middleware_replaces_does_not_change_the_framing(serve: Serve) -> None:
    """A client that asked with HEAD waits for no body, whatever the application takes it for."""

    def app(environ: Any, start_response: Any) -> Any:
        swap = {"HEAD": "GET", "GET": "HEAD"}
        environ["REQUEST_METHOD"] = swap[environ["REQUEST_METHOD"]]
        start_response(OK, [])
        return [b"body"] if environ["PATH_INFO"] == "/list" else iter([b"bo", b"dy"])

    client = serve(app).client()
    for target in ("/list", "/iterator"):
        assert client.ask(f"HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())[2] == b""
        assert client.get(target)[2] == b"body"

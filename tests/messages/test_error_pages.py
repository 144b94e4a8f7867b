"""The page of an HTTP error is the response that Werkzeug makes of it."""

from typing import Any

import pytest
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, TooManyRequests
from werkzeug.http import HTTP_STATUS_CODES

from dewar import Dewar, Response
from dewar.messages.error_pages import has_stock_page, page_of


class Untyped(HTTPException):
    """An error whose page has no type."""

    code = 418

    def get_headers(self, *args: Any) -> list[tuple[str, str]]:
        return [("X-Name", "1")]


class Mapped(NotFound):
    """An error whose fields are a dict, and whose page shows the request."""

    def get_headers(self, environ: Any = None, scope: Any = None) -> Any:
        environ["seen"] = True
        return {"X-Name": environ["REQUEST_METHOD"], "Content-Type": "text/x"}

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        return f"å {environ['seen']}"


class Coded(HTTPException):
    """An error with any status."""

    def __init__(self, code: Any) -> None:
        super().__init__("A <description>\nof two lines")
        self.code = code


class Named(NotFound):
    """An error with a name of its own."""

    name = "Gone fishing"  # type: ignore[assignment]  # a property


class Lazy(str):
    """Text that another text stands for, as a translation."""

    __slots__ = ()

    def __str__(self) -> str:
        return "translated"


def with_body(description: str) -> NotFound:
    error = NotFound(description)
    error.get_body = lambda *_: "own"  # type: ignore[method-assign]  # as a test does
    return error


ERRORS = [
    NotFound, Untyped, Mapped, Named, NotFound, lambda: NotFound("<b>"),
    lambda: NotFound(Markup("<b>")), lambda: NotFound("<b>"), lambda: NotFound(Lazy("<b>")),
    lambda: with_body("<b>"), lambda: NotFound("é\n" * 1000), lambda: NotFound(""),
    lambda: NotFound(7),  # type: ignore[arg-type]  # text is made of it
 lambda: NotFound("why"), lambda: MethodNotAllowed(["GET"]),
    lambda: TooManyRequests(retry_after=3),
    *[lambda code=code: Coded(code) for code in (400, 404, 503, 799)],
]  # fmt: skip


def described(response: Any, environ: dict[str, Any], *, is_sent: bool) -> object:
    if is_sent:
        started: list[Any] = []
        body = response(environ, lambda *args: started.append(args))
        return started, b"".join(body)
    return (
        type(response), sorted(vars(response)), response.status, response.status_code,
        [*response.headers], response.is_streamed, response.is_sequence,
        response.direct_passthrough, len(response._on_close), response.get_data(),
    )  # fmt: skip


@pytest.mark.parametrize("make", ERRORS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("is_sent", [False, True])
def test_it_is_what_force_type_returns(make: Any, method: str, *, is_sent: bool) -> None:
    """Its attributes, and what is sent. The environ is not changed."""
    environ = {"REQUEST_METHOD": method}
    assert has_stock_page(make())
    expected = Response.force_type(make(), environ)
    page = page_of(make(), environ)
    assert described(page, environ, is_sent=is_sent) == described(
        expected, environ, is_sent=is_sent
    )
    page.close()
    assert environ == {"REQUEST_METHOD": method}


def test_a_page_that_is_changed_changes_no_other() -> None:
    """A hook adds a field to its response, which is its own."""
    environ = {"REQUEST_METHOD": "GET"}
    first = page_of(NotFound(), environ)
    first.headers["X-Changed"] = "1"
    first.set_data("changed")
    second = page_of(NotFound(), environ)
    assert "X-Changed" not in second.headers
    assert "changed" not in second.get_data(as_text=True)


def test_a_phrase_that_a_program_has_changed_is_in_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its title and its status say what Werkzeug's table says now."""
    environ = {"REQUEST_METHOD": "GET"}
    assert page_of(NotFound(), environ).status == "404 NOT FOUND"
    monkeypatch.setitem(HTTP_STATUS_CODES, 404, "Lost")
    page = page_of(NotFound(), environ)
    assert page.status == "404 LOST"
    assert "<h1>Lost</h1>" in page.get_data(as_text=True)


def test_an_error_with_a_page_of_its_own_is_asked() -> None:
    """Its class, the error itself, or whoever gave it a response."""

    class Own(NotFound):
        def get_response(self, *args: Any, **kwargs: Any) -> Any:
            return Response("own", 404)

    changed = NotFound()
    changed.get_response = lambda environ: Response("own", 404)  # type: ignore[method-assign, assignment]  # as a test does
    errors: list[HTTPException] = [Own(), changed, NotFound(response=Response("own", 404))]
    app = Dewar("shop")

    @app.get("/<int:number>")
    def view(number: int) -> None:
        raise errors[number]

    for number, error in enumerate(errors):
        assert not has_stock_page(error)
        assert app.test_client().get(f"/{number}").text == "own"


@pytest.mark.parametrize("code", [None, 100, 200, 204, 304, "404 None"])
def test_a_status_that_is_no_error_is_left_to_werkzeug(code: Any) -> None:
    """It may have no body, and other fields."""
    assert not has_stock_page(Coded(code))

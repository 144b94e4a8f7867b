"""The page of an HTTP error is the response that Werkzeug makes of it."""

from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, TooManyRequests

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


ERRORS = [
    NotFound, Untyped, Mapped, lambda: NotFound("why"), lambda: MethodNotAllowed(["GET"]),
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

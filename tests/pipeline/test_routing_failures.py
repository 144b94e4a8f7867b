"""The routing error of a request: who sees it, and what is left of it."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, NotFound

from dewar import Dewar, Request, request
from dewar.contexts.context import Context
from dewar.routing.errors import FormDataRoutingRedirect


def shop(app_class: type[Dewar] = Dewar) -> Dewar:
    """Return an app whose requests can fail to match in each way."""
    app = app_class("shop")
    app.add_url_rule("/", view_func=lambda: "home", endpoint="home")
    app.add_url_rule("/item/", view_func=lambda: "item", endpoint="item")
    return app


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/nowhere", "GET", 404), ("/", "POST", 405), ("/item", "GET", 308)],
)
def test_who_sees_the_error_changes_no_byte(path: str, method: str, status: int) -> None:
    """Nobody, a hook that looks on, a method of a subclass, or a handler that returns it."""

    class Watching(Dewar):
        def handle_user_exception(self, e: Exception) -> Any:
            seen.append(e)
            return super().handle_user_exception(e)

    class Raising(Dewar):
        def raise_routing_exception(self, request: Any) -> Any:
            seen.append(request.routing_exception)
            return super().raise_routing_exception(request)

    seen: list[Any] = []
    apps = [shop(), shop(), shop(Watching), shop(Raising), shop()]
    apps[1].before_request(lambda: seen.append(request.routing_exception))
    apps[4].register_error_handler(HTTPException, lambda error: seen.append(error) or error)
    answers = [app.test_client().open(path, method=method) for app in apps]
    assert {answer.status_code for answer in answers} == {status}
    # A redirect by the router has no handler.
    assert [error.code for error in seen] == [status] * (3 if status == 308 else 4)
    assert len({(answer.data, str(answer.headers)) for answer in answers}) == 1


def test_a_handler_can_show_where_an_error_was_raised() -> None:
    """Programs log errors in a handler for all of them."""
    app, seen = shop(), []

    @app.errorhandler(Exception)
    def note(error: Exception) -> str:
        seen.append(error.__traceback__)
        return "noted"

    assert app.test_client().get("/nowhere").text == "noted"
    assert seen[0] is not None


def test_a_trapped_error_is_raised() -> None:
    """As `TRAP_HTTP_EXCEPTIONS` says."""
    app = shop()
    app.testing = app.config["TRAP_HTTP_EXCEPTIONS"] = True
    with pytest.raises(NotFound):
        app.test_client().get("/nowhere")


def test_a_redirect_that_loses_a_form_is_raised_in_debug_mode() -> None:
    """It would come as a GET without its form."""
    app = shop()
    app.debug = app.testing = True
    app.url_map.redirect_defaults = True
    app.add_url_rule("/old", endpoint="old", methods=["POST"], redirect_to="/item/")

    @app.before_request
    def as_found() -> None:
        if request.routing_exception is not None:
            request.routing_exception.code = 302

    with pytest.raises(FormDataRoutingRedirect):
        app.test_client().post("/old")


def answer(app: Dewar, path: str, method: str = "GET") -> None:
    """Send a request and take its response, as a server does."""
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }  # fmt: skip
    b"".join(app(environ, lambda *_: lambda _: None))


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Have nothing collect garbage."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(("path", "method"), [("/nowhere", "GET"), ("/", "POST")])
@pytest.mark.usefixtures("without_collector")
def test_what_matches_no_rule_leaves_no_garbage(path: str, method: str) -> None:
    """No reference cycle of the error, its traceback and the request waits for the collector."""
    app = shop()
    answer(app, path, method)
    gc.collect()
    for _ in range(5):
        answer(app, path, method)
    assert gc.collect() == 0


@pytest.mark.parametrize("path", ["/item", "//nowhere"])
@pytest.mark.usefixtures("without_collector")
def test_what_the_map_refuses_leaves_no_request(path: str) -> None:
    """What the map's search leaves has nothing of the request."""
    app = shop()
    answer(app, path)
    gc.collect()
    for _ in range(5):
        answer(app, path)
    # Other tests may have left theirs.
    contexts = [found for found in gc.get_objects() if type(found) is Context]
    requests = [found for found in gc.get_objects() if type(found) is Request]
    assert not [context for context in contexts if context.app is app]
    assert not [one for one in requests if getattr(one, "_dewar_app", None) is app]

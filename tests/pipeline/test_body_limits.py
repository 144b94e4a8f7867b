"""`BodyLimits`: what an app says about a body before that is received."""

from typing import Any

import pytest

from dewar import Dewar, Request, request
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.testing.environ import EnvironBuilder


def view(**values: Any) -> str:
    return "viewed"


def made(cls: type[Dewar] = Dewar, **options: Any) -> Dewar:
    app = cls("limits", static_folder=None, **options)
    app.config["MAX_CONTENT_LENGTH"] = 100
    app.add_url_rule("/take", "take", view, methods=["POST"])
    app.add_url_rule("/slash/", "slash", view, methods=["POST"])
    app.add_url_rule("/read", "read", view)
    return app


def limit(app: Any, path: str, host: str = "localhost", method: str = "POST") -> Any:
    environ = EnvironBuilder(made(), path, method=method).get_environ()
    environ["HTTP_HOST"] = host
    before = dict(environ)
    answer = app.body_limit_for(environ)
    assert environ == before, "asking changes nothing"
    return answer


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/take", 100), ("/slash/", 100), ("/slash", 0), ("/read", 0), ("/nowhere", 0)],
)
def test_routing_alone_answers(path: str, expected: int) -> None:
    """The configured limit for what matches, and nothing for what does not."""
    assert limit(made(), path) == expected


def test_without_a_limit_there_is_none() -> None:
    """What matches no rule still needs no body."""
    app = made()
    app.config["MAX_CONTENT_LENGTH"] = None
    assert (limit(app, "/take"), limit(app, "/nowhere")) == (None, 0)


@pytest.mark.parametrize(
    ("own", "expected"),
    [(5, 5), (None, None), (property(lambda self: 5), None)],
    ids=["a number", "none", "a property"],
)
def test_the_limit_of_the_request_class_counts(own: Any, expected: int | None) -> None:
    """Unless only a request of it could tell."""
    app = made()
    app.request_class = type("OwnRequest", (Request,), {"max_content_length": own})
    assert limit(app, "/take") == expected


def test_a_host_that_is_not_served_needs_no_body() -> None:
    """It is a 400."""
    app = made()
    app.config["TRUSTED_HOSTS"] = ["good.example"]
    assert limit(app, "/take", host="good.example") == 100
    assert limit(app, "/take", host="bad.example") == 0


def test_hosts_and_subdomains_are_matched() -> None:
    """As they are for the request."""
    app = made(subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.add_url_rule("/sub", "sub", view, methods=["POST"], subdomain="api")
    assert limit(app, "/sub", host="api.example.com") == 100
    assert limit(app, "/sub", host="example.com") == 0
    app = made(host_matching=True)
    app.add_url_rule("/sub", "sub", view, methods=["POST"], host="api.example.com")
    assert limit(app, "/sub", host="api.example.com") == 100
    assert limit(app, "/sub", host="example.com") == 0


@pytest.mark.parametrize("name", ["wsgi_app", "request_context", "create_url_adapter", "__call__"])
def test_a_class_that_may_route_otherwise_does_not_say(name: str) -> None:
    """Its own method may change the request."""
    stock = getattr(Dewar, name)
    cls = type("OwnApp", (Dewar,), {name: lambda self, *args: stock(self, *args)})
    assert limit(made(cls), "/nowhere") is None


def test_middleware_is_asked_itself() -> None:
    """And not the app inside of it, whose attributes it may pass on."""
    app = made()
    inner = app.wsgi_app

    class Silent:
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return inner(environ, start_response)

        def __getattr__(self, name: str) -> Any:
            return getattr(app, name)

    class Saying(Silent):
        def body_limit_for(self, environ: Any) -> int:
            return 7

    app.wsgi_app = Silent()  # type: ignore[method-assign]
    assert limit(app, "/nowhere") is None
    app.wsgi_app = Saying()  # type: ignore[method-assign]
    assert limit(app, "/nowhere") == 7
    assert limit(DispatcherMiddleware(made(), {"/in": Silent()}), "/in/nowhere") is None
    assert limit(DispatcherMiddleware(made(), {"/in": Saying()}), "/in/nowhere") == 7


def test_a_limit_that_was_raised_counts_for_its_endpoint() -> None:
    """The largest one that a view has set; a lower one is for its request only."""
    app = made()
    wanted: list[int | None] = [500, 50, 200]

    @app.post("/raise")
    def raising() -> str:
        request.max_content_length = wanted.pop(0)
        return "raised"

    assert limit(app, "/raise") == 100
    client = app.test_client()
    for expected in (500, 500, 500):
        client.post("/raise")
        assert limit(app, "/raise") == expected
    wanted.append(None)
    client.post("/raise")
    assert (limit(app, "/raise"), limit(app, "/take")) == (None, 100)
    app.config["MAX_CONTENT_LENGTH"] = None
    assert limit(app, "/take") is None


def test_rules_that_are_added_later_count() -> None:
    """Each registration asks anew."""
    app = made()
    assert limit(app, "/late") == 0
    app.add_url_rule("/late", "late", view, methods=["POST"])
    assert limit(app, "/late") == 100

"""What debug mode says of a redirect by the router that would lose a form."""

from typing import Any

import flask
import pytest

import dewar
from dewar.routing.errors import FormDataRoutingRedirect


def build(app_class: Any, debug: bool) -> Any:
    app = app_class("forms", static_folder=None)
    app.config.update(DEBUG=debug, PROPAGATE_EXCEPTIONS=True)
    app.add_url_rule("/form/", "form", lambda: "form", methods=["GET", "POST", "DELETE"])
    app.add_url_rule("/new", "new", lambda: "new", methods=["GET", "POST"])
    app.add_url_rule("/old", "new", alias=True, methods=["GET", "POST"])
    app.add_url_rule("/moved", "moved", redirect_to="/new", methods=["GET", "POST"])
    return app


def outcome(app: Any, path: str, method: str) -> Any:
    try:
        response = app.test_client().open(path, method=method)
    except AssertionError as error:
        return type(error).__name__
    return response.status_code, response.headers.get("Location")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/form", "/form/", "/old", "/moved", "/nowhere", "//form/"])
def test_redirects_are_flask_s(path: str, method: str, debug: bool) -> None:
    """Which are answered, and which are errors in debug mode."""
    ours = outcome(build(dewar.Dewar, debug), path, method)
    assert ours == outcome(build(flask.Flask, debug), path, method)


def test_a_form_that_would_be_lost_is_an_error_in_debug_mode() -> None:
    """It names both addresses and the way out; a redirect that keeps the form is none."""
    app = build(dewar.Dewar, True)
    app.url_map.redirect_defaults = True
    # The router's redirects keep the form since they answer 308: this one is made by hand.
    from werkzeug.routing import RequestRedirect

    class Found(RequestRedirect):
        code = 302

    with app.test_request_context("/form", method="POST") as context:
        context.request.routing_exception = Found("http://localhost/form/")
        with pytest.raises(FormDataRoutingRedirect) as caught:
            app.raise_routing_exception(context.request)
        assert isinstance(caught.value, AssertionError)
        for part in ("'http://localhost/form'", "'http://localhost/form/'", "Send the POST"):
            assert part in str(caught.value)
        app.debug = False
        with pytest.raises(Found):
            app.raise_routing_exception(context.request)
        context.request.routing_exception = None
        with pytest.raises(LookupError, match="no routing error"):
            app.raise_routing_exception(context.request)


def test_a_static_host_needs_host_matching() -> None:
    """And the other way round; the error says how to go without."""
    for arguments in ({"static_host": "x.org"}, {"host_matching": True}):
        with pytest.raises(AssertionError, match="static_folder=None"):
            dewar.Dewar("static", **arguments)
        with pytest.raises(AssertionError):
            flask.Flask("static", **arguments)
    app = dewar.Dewar("static", static_host="x.org", host_matching=True)
    assert [rule.host for rule in app.url_map.iter_rules()] == ["x.org"]

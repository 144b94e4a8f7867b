"""The fast lane, the full lane and Flask give the same answers, byte for byte."""

import io
import logging
import sys
from typing import Any

import flask
from hypothesis import given, settings
from hypothesis import strategies as st

import dewar

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = (
    st.text(max_size=20)
    | st.binary(max_size=20)
    | st.lists(json_values, max_size=3)
    | st.dictionaries(st.text(max_size=4), json_values, max_size=3)
    | st.just(None)
    | st.just(7)
)
statuses = st.sampled_from([200, 201, 204, 304, 404, 500, "418 Teapot"])
header_values = st.sampled_from(
    [{"X-A": "1"}, [("X-B", "2"), ("X-B", "3")], {"Content-Type": "text/plain"}, {}]
)
returned_values = (
    bodies
    | st.tuples(bodies)
    | st.tuples(bodies, statuses)
    | st.tuples(bodies, header_values)
    | st.tuples(bodies, statuses, header_values)
)


@st.composite
def behaviours(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "returned": draw(returned_values),
        "kind": draw(
            st.sampled_from(
                ["plain"] * 6 + ["response", "iterator", "abort", "raise", "redirect", "session"]
            )
        ),
        "after": draw(st.sampled_from(["none"] * 3 + ["hook", "this_request"])),
        "before": draw(st.sampled_from(["none"] * 4 + ["answer", "raise"])),
        "handler": draw(st.booleans()),
        "method": draw(st.sampled_from(["GET", "GET", "HEAD", "POST", "OPTIONS", "PUT"])),
        "cookie": draw(st.sampled_from([None, None, "session=broken", "other=1"])),
        "path": draw(st.sampled_from(["/", "/", "/item/7", "/item/x", "/dir", "/missing"])),
    }


class FullLane(dewar.Dewar):
    """Overriding any stage sends every request through the full lane."""

    def dispatch_request(self) -> Any:
        """Do as the parent does."""
        return super().dispatch_request()


def build(framework: Any, app_class: Any, behaviour: dict[str, Any]) -> Any:
    app = app_class("lanes", static_folder=None)
    app.secret_key = "key"
    app.logger.disabled = True
    kind = behaviour["kind"]

    def view(**values: Any) -> Any:
        if kind == "abort":
            framework.abort(403)
        if kind == "raise":
            raise ZeroDivisionError("broken")
        if kind == "redirect":
            return framework.redirect("/elsewhere")
        if kind == "response":
            return app.response_class("made", headers={"X-Made": "1"})
        if kind == "iterator":
            return iter(["a", "b"])
        if kind == "session":
            return str(len(framework.session))
        return behaviour["returned"]

    app.add_url_rule("/", "home", view, methods=["GET", "POST"])
    app.add_url_rule("/item/<int:number>", "item", view)
    app.add_url_rule("/dir/", "dir", view)
    if behaviour["after"] == "hook":
        app.after_request(lambda response: add_header(response, "X-After"))
    if behaviour["before"] == "answer":
        app.before_request(lambda: "from the hook")
    if behaviour["before"] == "raise":
        app.before_request(lambda: 1 / 0)
    if behaviour["after"] == "this_request":
        app.before_request(
            lambda: framework.after_this_request(lambda r: add_header(r, "X-This")) and None
        )
    if behaviour["handler"]:
        app.register_error_handler(404, lambda error: ("nothing here", 404))
        app.register_error_handler(ZeroDivisionError, lambda error: {"error": str(error)})
    return app


def add_header(response: Any, name: str) -> Any:
    response.headers[name] = "yes"
    return response


def ask(app: Any, behaviour: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    environ = {
        "REQUEST_METHOD": behaviour["method"], "SCRIPT_NAME": "", "PATH_INFO": behaviour["path"],
        "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    if behaviour["cookie"]:
        environ["HTTP_COOKIE"] = behaviour["cookie"]
    started: list[Any] = []
    result = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        body = b"".join(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    assert len(started) == 1
    status, headers = started[0]
    return status, _comparable(headers), body


def _comparable(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # The methods of Allow come from a set, in whatever order.
    return [
        (name, ", ".join(sorted(value.split(", "))) if name == "Allow" else value)
        for name, value in headers
    ]


@settings(max_examples=400)
@given(behaviours())
def test_both_lanes_and_flask_answer_alike(behaviour: dict[str, Any]) -> None:
    """Whatever a view returns or raises, and whatever hooks there are."""
    logging.getLogger("lanes").disabled = True
    fast = ask(build(dewar, dewar.Dewar, behaviour), behaviour)
    full = ask(build(dewar, FullLane, behaviour), behaviour)
    theirs = ask(build(flask, flask.Flask, behaviour), behaviour)
    assert fast == full
    assert full == theirs


@settings(max_examples=200)
@given(behaviours(), st.sampled_from([None, "session~m=broken", "session=broken"]))
def test_both_lanes_of_a_mounted_app_answer_alike(
    behaviour: dict[str, Any], cookie: str | None
) -> None:
    """Its session has another cookie, and its URLs another beginning."""
    logging.getLogger("lanes").disabled = True
    behaviour = {**behaviour, "cookie": cookie, "path": f"/m{behaviour['path']}"}
    fast, full = (
        ask(mounted(build(dewar, app_class, behaviour)), behaviour)
        for app_class in (dewar.Dewar, FullLane)
    )
    assert fast == full


def mounted(app: Any) -> Any:
    outer = dewar.Dewar("outer", static_folder=None)
    outer.mount("/m", app)
    return outer


def test_the_lanes_of_this_test_are_two() -> None:
    """The subclass really takes the other lane."""
    behaviour = {
        "returned": "x", "kind": "plain", "after": "none", "before": "none", "handler": False,
        "method": "GET", "cookie": None, "path": "/",
    }  # fmt: skip
    assert build(dewar, dewar.Dewar, behaviour)._dewar_composition.has_fast_lane
    assert not build(dewar, FullLane, behaviour)._dewar_composition.has_fast_lane

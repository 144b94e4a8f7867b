"""An error of a view ends as it ends on Flask, whatever is registered and configured."""

import logging
from typing import Any

import flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

import dewar


class Own(Exception):
    """An error of the program."""


class OwnKey(Own, KeyError):
    """A kind of two."""


class Conflict(HTTPException):
    code, description = 409, "mine"


class NoCode(HTTPException):
    description = "without a code"


class OwnMissing(exceptions.NotFound):
    """A kind of 404."""


RAISED: list[Any] = [
    Own, OwnKey, Conflict, NoCode, OwnMissing, KeyError, exceptions.BadRequestKeyError,
    exceptions.InternalServerError, SystemExit, KeyboardInterrupt, RequestRedirect, "abort",
    "abort with a response", "returned", "missing field",
]  # fmt: skip
HANDLED: list[Any] = [
    404, 405, 500, Exception, HTTPException, LookupError, KeyError, Own, OwnMissing,
    exceptions.InternalServerError, exceptions.BadRequest, exceptions.NotFound,
]  # fmt: skip
ANSWERS = ["text", "the error", "its response", "raises", "raises http"]
SETTINGS = {
    "TESTING": [False, True], "DEBUG": [False, True], "PROPAGATE_EXCEPTIONS": [None, False, True],
    "TRAP_HTTP_EXCEPTIONS": [False, True], "TRAP_BAD_REQUEST_ERRORS": [None, False, True],
}  # fmt: skip

handlers = st.lists(
    st.tuples(
        st.sampled_from(["app", "blueprint", "blueprint for app"]),
        st.sampled_from(HANDLED),
        st.sampled_from(ANSWERS),
    ),
    max_size=4,
)
configs = st.fixed_dictionaries(
    {name: st.sampled_from(values) for name, values in SETTINGS.items()}
)


class Records(logging.Handler):
    """What the app logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        self.told.append((record.levelname, record.getMessage(), record.module, name_of(error)))


def name_of(kind: type[BaseException] | None) -> str:
    """Return the name of the first class that is not one of the frameworks'."""
    if kind is None:
        return "none"
    frameworks = ("dewar", "flask")
    return next(cls.__name__ for cls in kind.__mro__ if not cls.__module__.startswith(frameworks))


def build(framework: Any, app_class: Any, raised: Any, handled: list[Any], config: Any) -> Any:
    app, records = app_class("failing", static_folder=None), Records()
    app.config.update(config)
    app.logger.handlers[:], app.logger.propagate = [records], False
    blueprint = framework.Blueprint("inner", "failing", url_prefix="/inner")
    registrations = {
        "app": app.register_error_handler,
        "blueprint": blueprint.register_error_handler,
        "blueprint for app": lambda what, handler: blueprint.app_errorhandler(what)(handler),
    }
    for number, (where, what, answer) in enumerate(handled):
        registrations[where](what, handler(framework, f"{number} {where}", answer))

    def view() -> Any:
        if raised == "abort":
            framework.abort(404)
        if raised == "abort with a response":
            framework.abort(framework.Response("given", 418))
        if raised == "returned":
            return exceptions.Gone()
        if raised == "missing field":
            return framework.request.form["field"]
        raise raised("/elsewhere") if raised is RequestRedirect else raised()

    for target in (app, blueprint):
        target.add_url_rule("/", "view", view)
    app.register_blueprint(blueprint)
    return app, records


def handler(framework: Any, label: str, answer: str) -> Any:
    def handle(error: Any) -> Any:
        if answer == "the error":
            return error
        if answer == "its response":
            return error.get_response()
        if answer == "raises":
            raise ArithmeticError(label)
        if answer == "raises http":
            framework.abort(410)
        original = name_of(type(getattr(error, "original_exception", None)))
        return f"{label} {name_of(type(error))} {original}", 418

    return handle


def ends(framework: Any, app_class: Any, *plan: Any) -> list[Any]:
    app, records = build(framework, app_class, *plan)
    seen: list[Any] = []
    for method, path in (("GET", "/"), ("GET", "/inner/"), ("GET", "/none"), ("PUT", "/inner/")):
        try:
            response = app.test_client().open(path, method=method)
        except BaseException as error:
            seen.append(name_of(type(error)))
        else:
            fields = sorted(response.headers.items())
            seen.append((response.status, response.text, fields))
    return [seen, records.told]


@settings(max_examples=250)
@given(st.sampled_from(RAISED), handlers, configs)
def test_an_error_ends_as_it_ends_on_flask(raised: Any, handled: list[Any], config: Any) -> None:
    """The answer, what propagates, and what is logged."""
    ours = ends(dewar, dewar.Dewar, raised, handled, config)
    assert ours == ends(flask, flask.Flask, raised, handled, config)

"""The usual beginning of a request does what `Context.push` does."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from dewar import Dewar, Request, appcontext_pushed, request
from dewar.contexts.context import Context
from dewar.contexts.current import contexts
from dewar.contexts.first_push import push_first


def environ(path: str = "/item/7", **fields: str) -> dict[str, Any]:
    made: dict[str, Any] = {"PATH_INFO": path, **fields}
    setup_testing_defaults(made)
    return made


def state_of(context: Context) -> dict[str, Any]:
    """Return what a context has, in each of its slots."""
    names = [name for name in type(context).__mro__[1].__slots__ if not name.startswith("__")]  # type: ignore[attr-defined]  # it has slots
    found = {name: getattr(context, name) for name in names}
    error = found.pop("_dewar_routing_exception")
    adapter = found.pop("_dewar_url_adapter")
    made = found.pop("_dewar_request")
    return {
        **found,
        "error": repr(error),
        "adapter": type(adapter),
        "request": None if made is None else (made.url_rule, made.view_args),
        "current": [each is context for each in contexts.state],
    }


@pytest.fixture
def app() -> Dewar:
    app = Dewar("first", static_folder=None)
    app.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/item/<int:number>", "item", lambda number: str(number))
    return app


@pytest.mark.parametrize("path", ["/", "/item/7", "/item/x", "/none", "/item/7/"])
@pytest.mark.parametrize("hosts", [None, ["here"], ["127.0.0.1"]])
@pytest.mark.parametrize("is_of_class", [False, True])
def test_the_context_is_as_after_a_push(
    app: Dewar, path: str, hosts: list[str] | None, is_of_class: bool
) -> None:
    """Whatever routing finds, and whoever names the hosts to trust."""
    if is_of_class:
        app.request_class = type("Trusting", (Request,), {"trusted_hosts": hosts})
    else:
        app.config["TRUSTED_HOSTS"] = hosts
    states = []
    for push in (Context.push, lambda context: push_first(context, app._dewar_composition)):
        given = environ(path)
        context = Context(app, given)
        push(context)
        states.append(state_of(context) | {"_dewar_environ": None})
        context.pop()
    assert states[0] == states[1]


def test_it_may_be_pushed_over_another(app: Dewar) -> None:
    """As in a test inside of an app context, whose `g` it has."""
    with app.app_context() as outer:
        context = Context(app, environ())
        push_first(context, app._dewar_composition)
        assert context.g is outer.g
        context.pop()


def test_a_receiver_may_set_up_the_app(app: Dewar) -> None:
    """The rule that it adds is found."""

    def add(sender: Dewar, **_: Any) -> None:
        sender.add_url_rule("/late", "late", lambda: "late")

    with appcontext_pushed.connected_to(add, app):
        context = Context(app, environ("/late"))
        push_first(context, app._dewar_composition)
    assert context._dewar_url_rule is not None
    assert context._dewar_url_rule.endpoint == "late"
    context.pop()


@pytest.mark.parametrize("method", ["GET", "get", "Post", "M-SEARCH", ""])
def test_the_request_is_what_its_class_makes(app: Dewar, method: str) -> None:
    """Attribute by attribute."""
    given = environ(REQUEST_METHOD=method)
    assert app._dewar_composition.has_plain_requests
    with app.request_context(given):
        made = request._get_current_object()  # type: ignore[attr-defined]  # a proxy
        assert given["werkzeug.request"] is made
        own = dict(vars(made))
    expected = vars(Request(environ(REQUEST_METHOD=method)))
    assert all(own[name] == expected[name] for name in expected.keys() - {"environ"})
    assert own["environ"] is given


def test_a_class_with_a_constructor_is_called(app: Dewar) -> None:
    """With the environ alone."""

    class Noting(Request):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.noted = len(given)

    app.request_class = Noting
    assert not app._dewar_composition.has_plain_requests
    with app.request_context(environ()):
        assert request.noted == 1  # type: ignore[attr-defined]  # of the class


@pytest.mark.parametrize("kind", [TypeError, AttributeError, RuntimeError, ValueError])
def test_an_error_of_the_class_is_seen(app: Dewar, kind: type[Exception]) -> None:
    """By each who asks for the request."""

    class Failing(Request):
        def __init__(self, *_: Any) -> None:
            raise kind("no request")

    app.request_class = Failing
    context = Context(app, environ())
    context._dewar_url_rule = next(app.url_map.iter_rules())
    context.push()
    with pytest.raises(kind, match="no request"):
        _ = request.method
    context.pop()

"""`Context`: what is current, and for how long."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import greenlet
import pytest

from dewar import (
    Dewar,
    appcontext_popped,
    appcontext_pushed,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
)
from dewar.contexts.current import contexts
from dewar.errors import ContextOrderError, UnboundError
from dewar.sessions.interface import SessionInterface


@pytest.fixture
def app() -> Dewar:
    app = Dewar("first", static_folder=None)
    app.secret_key = "key"
    return app


@pytest.fixture
def other() -> Dewar:
    return Dewar("second", static_folder=None)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert contexts.state is None, "a test left a context behind"


def test_outside_of_any_context_the_names_are_unbound() -> None:
    """They are false, and using one says how to make a context."""
    assert not has_app_context()
    assert not has_request_context()
    for proxy in (current_app, g, request, session):
        assert not proxy
    with pytest.raises(UnboundError, match=r"with app\.app_context\(\)"):
        current_app.name
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        g.x
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        request.path
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        session["x"]


def test_an_app_context_makes_the_app_and_g_current(app: Dewar) -> None:
    """There is no request in it."""
    with app.app_context() as context:
        assert current_app._get_current_object() is app
        g.x = 1
        assert context.g.x == 1
        assert has_app_context()
        assert not has_request_context()
        with pytest.raises(UnboundError, match="request context"):
            request.path
        with pytest.raises(UnboundError, match="request context"):
            context.session


def test_a_request_context_carries_everything(app: Dewar) -> None:
    """App, request, session, g and what routing found."""
    app.add_url_rule("/user/<int:id>", "user", lambda id: "")
    with app.test_request_context("/user/7?q=x", method="GET") as context:
        assert (request.path, request.args["q"], request.endpoint) == ("/user/7", "x", "user")
        assert request.view_args == {"id": 7}
        session["k"] = 1
        assert context.session["k"] == 1
        assert context.request is request._get_current_object()
        assert repr(context) == "<Context GET '/user/7' of first>"
        assert has_request_context()


def test_nested_contexts_of_two_apps_come_back_in_order(app: Dewar, other: Dewar) -> None:
    """The inner app is current until its context is popped; the request stays visible."""
    with app.test_request_context("/outer"):
        g.x = "outer"
        with other.app_context():
            assert current_app.name == "second"
            assert not hasattr(g, "x")
            assert request.path == "/outer"
            with app.app_context():
                assert current_app.name == "first"
                assert not hasattr(g, "x")
            assert current_app.name == "second"
        assert (current_app.name, g.x) == ("first", "outer")


def test_a_request_inside_its_apps_context_shares_g(app: Dewar) -> None:
    """As in Flask, so that a test can prepare g; and the app's teardown runs once, outside."""
    torn_down: list[str] = []
    app.teardown_appcontext(lambda error: torn_down.append("app"))
    app.teardown_request(lambda error: torn_down.append("request"))
    with app.app_context():
        g.x = "prepared"
        with app.test_request_context("/"):
            assert g.x == "prepared"
        assert torn_down == ["request"]
    assert torn_down == ["request", "app"]


def test_popping_in_the_wrong_order_names_both_and_breaks_nothing(app: Dewar, other: Dewar) -> None:
    """The stack stays as it was, so the right order still works."""
    first, second = app.app_context(), other.app_context()
    first.push()
    second.push()
    with pytest.raises(ContextOrderError, match=r"of first.*before .*of second"):
        first.pop()
    assert current_app.name == "second"
    second.pop()
    first.pop()
    with pytest.raises(AssertionError, match="it is not pushed"):
        first.pop()


def test_an_app_context_may_end_before_the_request_inside_it(app: Dewar) -> None:
    """The two kinds are ordered among themselves only; what has ended is not current."""
    ends: list[str] = []
    app.teardown_request(lambda error: ends.append(f"request {has_app_context()}"))
    app.teardown_appcontext(lambda error: ends.append("app"))
    outer, inner = app.app_context(), app.test_request_context("/inner")
    outer.push()
    inner.push()
    outer.pop()
    assert ends == ["app"]
    assert request.path == "/inner"
    assert not has_app_context()
    with pytest.raises(UnboundError, match=r"with app\.app_context\(\)"):
        current_app.name
    with pytest.raises(UnboundError, match="application context"):
        g.x
    inner.pop()
    assert ends == ["app", "request False"]


def test_a_request_may_end_before_an_app_context_inside_it(app: Dewar, other: Dewar) -> None:
    """If the request is inside an app context of its app, and so is no app context itself."""
    inner, request_context = other.app_context(), app.test_request_context("/")
    with app.app_context():
        request_context.push()
        inner.push()
        request_context.pop()
        assert current_app.name == "second"
        assert not has_request_context()
        inner.pop()
        assert current_app.name == "first"
    request_context = app.test_request_context("/")
    request_context.push()
    inner.push()
    with pytest.raises(ContextOrderError, match=r"'/' of first.*before <Context of second>"):
        request_context.pop()
    assert request.path == "/"
    inner.pop()
    request_context.pop()


def test_a_request_context_that_is_pushed_again_has_another_g(app: Dewar, other: Dewar) -> None:
    """As in Flask, which makes an app context for each push; after the last, it is collected."""
    ends: list[str] = []
    app.teardown_appcontext(lambda error: ends.append(g.get("x", "none")))
    context = app.test_request_context("/")
    with context:
        g.x = "first"
        with context:
            assert g.x == "first"
        with other.app_context(), context:
            assert current_app.name == "first"
            assert "x" not in g
            g.x = "second"
        assert (g.x, ends) == ("first", ["second"])
    with context:
        assert "x" not in g
    assert ends == ["second", "first", "none"]


def test_a_push_that_fails_leaves_nothing_behind(app: Dewar, other: Dewar) -> None:
    """Also if it is the app context for the second push that fails."""
    context = app.test_request_context("/")
    with context, other.app_context():

        def refuse(sender: Any, **_: Any) -> None:
            raise LookupError

        with appcontext_pushed.connected_to(refuse, app), pytest.raises(LookupError), context:
            raise AssertionError("entered")
        assert (len(contexts.apps), contexts.requests) == (2, [context])


def test_a_context_pushed_elsewhere_can_not_be_popped_here(app: Dewar) -> None:
    """Another thread's context is not ours to take off."""
    context = app.app_context()
    thread = threading.Thread(target=context.push)
    thread.start()
    thread.join()
    with pytest.raises(ContextOrderError, match="not pushed in this thread"):
        context.pop()


def test_a_context_may_be_pushed_twice_and_ends_once(app: Dewar) -> None:
    """The teardown functions run at the last pop."""
    ends: list[Any] = []
    app.teardown_appcontext(ends.append)
    context = app.app_context()
    with context:
        with context:
            pass
        assert ends == []
    assert ends == [None]


def test_every_teardown_function_runs_and_the_first_error_is_raised(app: Dewar) -> None:
    """A failing teardown keeps no other from running, nor the context from being popped."""
    ran: list[str] = []

    def failing(name: str) -> Any:
        def teardown(error: BaseException | None) -> None:
            ran.append(name)
            raise ValueError(name)

        return teardown

    app.logger.disabled = True
    for name in ("a", "b"):
        app.teardown_request(failing(f"request {name}"))
        app.teardown_appcontext(failing(f"app {name}"))
    context = app.test_request_context("/")
    context.push()
    with pytest.raises(ValueError, match="request b"):
        context.pop()
    assert ran == ["request b", "request a", "app b", "app a"]


def test_a_teardown_function_that_leaves_a_context_pushed_harms_nobody(
    app: Dewar, other: Dewar
) -> None:
    """The stack is what it was before the context."""
    app.teardown_request(lambda error: other.app_context().push())
    with other.app_context() as outer:
        with app.test_request_context("/"):
            pass
        assert contexts.apps == [outer]


def test_teardown_functions_are_told_the_error(app: Dewar) -> None:
    """The exception that left the with block, or None."""
    errors: list[Any] = []
    app.teardown_request(errors.append)
    error = KeyError("x")
    with pytest.raises(KeyError), app.test_request_context("/"):
        raise error
    with app.test_request_context("/"):
        pass
    assert errors == [error, None]


def test_contexts_announce_themselves(app: Dewar) -> None:
    """The signals of the app context are sent once each."""
    seen: list[str] = []

    def pushed(sender: Any, **_: Any) -> None:
        seen.append("pushed")

    def popped(sender: Any, **_: Any) -> None:
        seen.append("popped")

    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        with app.test_request_context("/"):
            seen.append("inside")
        with app.app_context() as context, context:
            seen.append("twice")
    assert seen == ["pushed", "inside", "popped", "pushed", "pushed", "twice", "popped", "popped"]


def test_nothing_is_made_that_nobody_asks_for(app: Dewar) -> None:
    """No request object, session, g or adapter before somebody looks."""
    app.add_url_rule("/", "home", lambda: "")
    with app.test_request_context("/") as context:
        assert context._dewar_url_rule is not None
        assert context._dewar_request is None
        assert context._dewar_session is None
        assert context._dewar_g is None
        session.get("x")
        assert context._dewar_session is not None


def test_a_missing_page_is_known_before_it_is_raised(app: Dewar) -> None:
    """Routing's verdict waits on the request until the view would run."""
    with app.test_request_context("/missing"):
        assert request.url_rule is None
        assert getattr(request.routing_exception, "code", None) == 404


def test_greenlets_and_tasks_have_contexts_of_their_own(app: Dewar, other: Dewar) -> None:
    """A new greenlet has none; a task starts with its creator's."""
    seen: list[Any] = []

    async def task() -> str:
        with other.app_context():
            await asyncio.sleep(0)
            return current_app.name

    async def main() -> None:
        names = await asyncio.gather(task(), task())
        seen.append((names, current_app.name))

    with app.app_context():
        greenlet.greenlet(lambda: seen.append(has_app_context())).switch()
        asyncio.run(main())
    assert seen == [False, (["second", "second"], "first")]


def test_g_is_a_namespace_with_a_dicts_helpers(app: Dewar) -> None:
    """get, pop, setdefault, in, iteration, and an error that shows the repair."""
    with app.app_context():
        g.a = 1
        assert (g.get("a"), g.get("b"), g.get("b", 2)) == (1, None, 2)
        assert g.setdefault("b", 3) == 3
        assert "a" in g
        assert list(g) == ["a", "b"]
        assert (g.pop("a"), g.pop("a", None)) == (1, None)
        with pytest.raises(KeyError):
            g.pop("a")
        with pytest.raises(AttributeError, match=r"g\.get\('nope', None\)"):
            g.nope
        del g.b
        with pytest.raises(AttributeError):
            del g.b
        assert repr(g) == "<flask.g of 'first'>"


def test_a_context_that_fails_to_open_leaves_nothing(app: Dewar) -> None:
    """A session interface may raise while the request begins."""

    class Broken(SessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            raise ConnectionError("no session store")

    app.session_interface = Broken()
    with pytest.raises(ConnectionError), app.test_request_context("/"):
        pass
    assert contexts.state is None


def test_a_made_up_request_does_not_end_the_setup(app: Dewar) -> None:
    """Only a request that is served does."""
    with app.test_request_context("/"):
        pass
    app.add_url_rule("/late", "late", lambda: "late")
    assert app.test_client().get("/late").text == "late"

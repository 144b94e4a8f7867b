"""What a ``with client:`` block keeps, and when it lets go."""

from threading import Thread
from types import ModuleType
from typing import Any

import pytest

import dewar
from dewar.contexts.current import contexts
from dewar.testing.errors import ClientNestedError


def test_the_context_stays_until_the_block_ends(app: Any, framework: ModuleType) -> None:
    """After the response the request, `g` and the session are still there to be looked at."""
    with app.test_client() as client:
        client.get("/add/milk?a=1")
        assert framework.request.args["a"] == "1"
        assert framework.session["items"] == ["milk"]
        client.get("/")
        assert framework.g.seen == "index"
        assert framework.request.endpoint == "index"
        assert framework.current_app.name == "shop"
    assert not framework.has_request_context()
    assert not framework.has_app_context()


def test_without_a_block_nothing_is_kept(app: Any, framework: ModuleType) -> None:
    """A client used plainly leaves no context behind."""
    app.test_client().get("/")
    assert not framework.has_request_context()
    assert not framework.has_app_context()


def test_the_next_request_replaces_the_context(shop: Any) -> None:
    """One context is kept at a time, however many requests there are."""
    with shop.test_client() as client:
        for number in range(3):
            client.get(f"/echo?n={number}")
            assert dewar.request.args["n"] == str(number)
            assert len(contexts.requests) == 1
    assert contexts.state is None


def test_only_the_last_of_the_redirects_is_kept(shop: Any) -> None:
    """Following a redirect leaves the context of the page it led to."""
    with shop.test_client() as client:
        client.get("/away", follow_redirects=True)
        assert dewar.request.path == "/"
        assert dewar.g.seen == "index"
        assert len(contexts.requests) == 1


def test_a_request_that_is_not_found_is_kept_as_well(app: Any, framework: ModuleType) -> None:
    """A 404 has a context to look at, without a rule."""
    with app.test_client() as client:
        assert client.get("/nowhere").status_code == 404
        assert framework.request.path == "/nowhere"
        assert framework.request.url_rule is None
        assert framework.request.routing_exception is not None


def test_an_error_leaves_no_context_for_later(shop: Any) -> None:
    """The context of a request that raised is not entered by the next one."""
    shop.testing = True
    with shop.test_client() as client:
        with pytest.raises(LookupError):
            client.get("/fail")
        assert contexts.state is None
        client.get("/")
        assert dewar.request.path == "/"
        assert len(contexts.requests) == 1


def test_the_block_of_one_client_does_not_nest(app: Any) -> None:
    """A second block of the same client is refused, as in Flask."""
    client = app.test_client()
    with client, pytest.raises(RuntimeError):
        client.__enter__()


def test_the_refusal_to_nest_shows_the_repair(shop: Any) -> None:
    """The error says to use another client."""
    client = shop.test_client()
    with client, pytest.raises(ClientNestedError, match=r"with app\.test_client\(\) as other"):
        client.__enter__()
    with client:
        pass  # it can be used again


def test_two_clients_may_be_nested(app: Any, framework: ModuleType) -> None:
    """An inner client's context is on top while its block lasts."""
    with app.test_client() as outer:
        outer.get("/echo?who=outer")
        with app.test_client() as inner:
            inner.get("/echo?who=inner")
            assert framework.request.args["who"] == "inner"
        assert framework.request.args["who"] == "outer"


def test_a_client_keeps_a_request_beyond_the_app_context_inside_its_block(
    app: Any, framework: ModuleType
) -> None:
    """And beyond the next one's, as where each is a fixture; that app context stays, too."""
    ends: list[str] = []
    app.teardown_appcontext(lambda _: ends.append("app"))
    with app.test_client() as client:
        with app.app_context():
            client.get("/echo?n=1")
            framework.g.mine = 1
            client.get("/echo?n=2")
            assert framework.g.mine == 1
        assert framework.request.args["n"] == "2"
        assert (framework.current_app.name, framework.g.mine, ends) == ("shop", 1, [])
        client.get("/echo?n=3")
        assert ends == ["app"] * 2
        assert not hasattr(framework.g, "mine")
    assert ends == ["app"] * 3
    assert not framework.has_request_context()
    assert not framework.has_app_context()


def test_a_client_may_be_used_inside_an_app_context(app: Any, framework: ModuleType) -> None:
    """Its requests share the app context, and its `g`."""
    with app.app_context():
        framework.g.mine = 1
        with app.test_client() as client:
            client.get("/")
            assert (framework.g.mine, framework.g.seen) == (1, "index")
            with client.session_transaction() as session:
                session["items"] = ["tea"]
            assert framework.request.path == "/"
            client.get("/add/milk")
            assert framework.session["items"] == ["tea", "milk"]
        assert not framework.has_request_context()
        assert framework.g.mine == 1
    assert not framework.has_app_context()


def test_teardown_functions_run_as_often_as_in_flask(app: Any, framework: ModuleType) -> None:
    """A kept context is torn down after the response and when the block lets it go."""
    ends: list[str] = []
    app.teardown_request(lambda _: ends.append("request"))
    app.teardown_appcontext(lambda _: ends.append("app"))
    with app.test_client() as client:
        client.get("/")
        assert ends == ["request", "app"]
    assert ends == ["request", "app"] * 2


def test_clients_in_threads_keep_their_contexts_apart(shop: Any) -> None:
    """Each thread's block sees its own request."""
    seen: dict[int, str] = {}

    def visit(number: int) -> None:
        with shop.test_client() as client:
            client.get(f"/echo?n={number}")
            seen[number] = dewar.request.args["n"]

    threads = [Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: str(number) for number in range(8)}
    assert contexts.state is None


def test_a_streamed_body_can_be_read_in_the_block(shop: Any) -> None:
    """A response that streams is whole, with the kept context beside it."""

    @shop.get("/stream")
    def stream() -> Any:
        return dewar.stream_with_context(dewar.request.args["a"] for _ in range(3))

    with shop.test_client() as client:
        response = client.get("/stream?a=x")
        assert dewar.request.args["a"] == "x"
        assert response.text == "xxx"
        response.close()
    assert contexts.state is None

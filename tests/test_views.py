"""Views written as classes."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import flask
import flask.views
import pytest

import dewar
import dewar.views
from dewar import Dewar, g, request
from dewar.loop.process_loop import process_loop
from dewar.views import MethodView, View, http_method_funcs

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


@pytest.fixture
def app() -> Dewar:
    return Dewar("classes", static_folder=None)


def test_a_view_is_made_for_each_request(app: Dewar) -> None:
    """With the arguments of `as_view`; the rule's values go to its method."""
    made: list[View] = []

    class Greeting(View):
        """Greets."""

        def __init__(self, word: str, *, mark: str) -> None:
            made.append(self)
            self.word, self.mark = word, mark

        def dispatch_request(self, name: str) -> str:
            return f"{self.word} {name}{self.mark}"

    view = Greeting.as_view("hello", "Hello", mark="!")
    app.add_url_rule("/<name>", view_func=view)
    client = app.test_client()
    assert client.get("/Ann").text == "Hello Ann!"
    assert client.get("/Bob").text == "Hello Bob!"
    assert len(made) == 2
    assert client.post("/Ann").status_code == 405
    assert (view.__name__, view.__doc__, view.__module__) == ("hello", "Greets.", __name__)
    assert (view.view_class, view.methods, view.provide_automatic_options) == (Greeting, None, None)  # type: ignore[attr-defined]


def test_one_instance_may_serve_all(app: Dewar) -> None:
    """It is made with the view function."""
    made: list[View] = []

    class Counter(View):
        init_every_request = False

        def __init__(self) -> None:
            made.append(self)
            self.count = 0

        def dispatch_request(self) -> str:
            self.count += 1
            return str(self.count)

    view = Counter.as_view("count")
    assert len(made) == 1
    app.add_url_rule("/", view_func=view)
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert len(made) == 1


def test_the_class_may_be_replaced(app: Dewar) -> None:
    """The next request is answered by the one that `view_class` is set to, also when decorated."""

    class First(View):
        def dispatch_request(self) -> str:
            return "first"

    class Second(View):
        def dispatch_request(self) -> str:
            return "second"

    view = First.as_view("it")
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").text == "first"
    view.view_class = Second  # type: ignore[attr-defined]
    assert app.test_client().get("/").text == "second"


def decorators(told: list[str]) -> list[Callable[..., Any]]:
    def make(label: str) -> Callable[..., Any]:
        def decorate(view: Any) -> Any:
            told.append(f"{label} decorates {view.__name__} of {view.__module__}")

            def wrapped(**values: Any) -> str:
                return f"{label}({view(**values)})"

            wrapped.__name__ = f"wrapped_by_{label}"
            return wrapped

        return decorate

    return [make("a"), make("b")]


def decorated(framework: Any, app_class: Any) -> Any:
    told: list[str] = []

    class Plain(framework.views.View):
        decorators = globals()["decorators"](told)
        methods = ["GET", "PUT"]

        def dispatch_request(self) -> str:
            return "plain"

    view = Plain.as_view("it")
    app = app_class("decorated", static_folder=None)
    app.add_url_rule("/", view_func=view)
    answers = [app.test_client().open("/", method=method).text for method in ("GET", "PUT")]
    return told, answers, view.__name__, view.methods, view.view_class.__name__


def test_decorators_are_applied_in_order() -> None:
    """The first is the innermost; the outcome has the view's name and attributes, as on Flask."""
    ours = decorated(dewar, dewar.Dewar)
    assert ours == decorated(flask, flask.Flask)
    assert ours[1] == ["b(a(plain))"] * 2
    assert ours[0][0] == f"a decorates it of {__name__}"


def classes(framework: Any) -> dict[str, Any]:
    """Return views of many kinds, made from a framework's own classes."""

    class Both(framework.views.MethodView):
        def get(self, **values: Any) -> str:
            return "got"

        def post(self, **values: Any) -> str:
            return "posted"

    class Child(Both):
        def delete(self, **values: Any) -> tuple[str, int]:
            return "", 204

    class Mixin:
        methods = ["PATCH"]

        def patch(self, **values: Any) -> str:
            return "patched"

    class Mixed(Mixin, Child):
        pass

    class Fixed(Child):
        methods = ["GET"]

    class BelowFixed(Fixed):
        def put(self, **values: Any) -> str:
            return "put"

    class Heads(Both):
        def head(self, **values: Any) -> tuple[str, int, dict[str, str]]:
            return "", 200, {"X-Head": "own"}

    class Options(Both):
        provide_automatic_options = False

        def options(self, **values: Any) -> str:
            return "mine"

    class NotAutomatic(Both):
        provide_automatic_options = False

    class Automatic(framework.views.View):
        methods = ["POST"]
        provide_automatic_options = True

        def dispatch_request(self, **values: Any) -> str:
            return framework.request.method

    class Waiting(framework.views.MethodView):
        init_every_request = False

        async def get(self, **values: Any) -> str:
            return "awaited"

    class Waits(framework.views.View):
        async def dispatch_request(self, **values: Any) -> str:
            return "awaited"

    class Empty(framework.views.MethodView):
        pass

    found = dict(locals())
    return {name: cls for name, cls in found.items() if inspect.isclass(cls) and name != "Mixin"}


KINDS = sorted(classes(dewar))


@pytest.mark.parametrize("kind", KINDS)
def test_each_method_is_answered_as_on_flask(kind: str) -> None:
    """Inherited, mixed in, fixed by hand, HEAD by `get`, OPTIONS, and coroutines."""

    def answers(framework: Any, app_class: Any) -> Any:
        cls = classes(framework)[kind]
        app = app_class("methods", static_folder=None)
        app.add_url_rule("/", view_func=cls.as_view("it"))
        app.add_url_rule("/<x>", "fewer", cls.as_view("it"), methods=["GET"])
        found: list[Any] = [cls.methods and sorted(cls.methods)]
        if kind == "Empty":
            return found  # a method it lacks is answered otherwise: see below
        for path in ("/", "/y"):
            for method in METHODS:
                response = app.test_client().open(path, method=method)
                headers = {
                    name: sorted(value.split(", ")) for name, value in response.headers.items()
                }
                found.append((path, method, response.status_code, response.text, headers))
        return found

    assert answers(dewar, dewar.Dewar) == answers(flask, flask.Flask)


def needs_key(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view as many do, without a thought of coroutines."""

    def checked(**values: Any) -> Any:
        return f"checked {view(**values)}"

    return checked


@pytest.mark.parametrize("has_one_for_all", [False, True])
def test_a_class_of_coroutines_is_a_coroutine_function(app: Dewar, has_one_for_all: bool) -> None:
    """It holds no thread then; HEAD, OPTIONS and 405 are as ever."""

    class Item(MethodView):
        init_every_request = not has_one_for_all

        def __init__(self, word: str) -> None:
            self.word = word

        async def get(self, **values: Any) -> str:
            await asyncio.sleep(0)
            return f"{self.word} {request.path} {values} {process_loop.is_here()}"

        async def delete(self) -> tuple[str, int]:
            await asyncio.sleep(0)
            return "", 204

    class Greeting(View):
        async def dispatch_request(self) -> str:
            await asyncio.sleep(0)
            return "hello"

    item, greeting = Item.as_view("item", "an item"), Greeting.as_view("greeting")
    assert inspect.iscoroutinefunction(item)
    assert inspect.iscoroutinefunction(greeting)
    assert (item.__name__, item.view_class) == ("item", Item)  # type: ignore[attr-defined]
    app.add_url_rule("/item", view_func=item)
    app.add_url_rule("/item/<int:number>", view_func=item, methods=["GET", "PUT"])
    app.add_url_rule("/greeting", view_func=greeting)
    client = app.test_client()
    assert client.get("/item").text == "an item /item {} True"
    assert client.get("/item/7").text == "an item /item/7 {'number': 7} True"
    assert client.head("/item").status_code == 200
    assert client.delete("/item").status_code == 204
    assert client.post("/item").status_code == 405
    assert client.put("/item/7").status_code == 405
    assert client.options("/item").allow.as_set() == {"get", "head", "options", "delete"}
    assert client.get("/greeting").text == "hello"


def test_a_class_with_anything_synchronous_is_a_plain_function(app: Dewar) -> None:
    """A method, a `dispatch_request` of its own, decorators: they find what they always found."""

    class Mixed(MethodView):
        async def get(self) -> str:
            return f"async {process_loop.is_here()}"

        def post(self) -> str:
            return f"sync {process_loop.is_here()}"

    class Watched(MethodView):
        async def get(self) -> str:
            return f"async {process_loop.is_here()}"

        def dispatch_request(self, **values: Any) -> Any:
            return f"watched {super().dispatch_request(**values)}"

    class Decorated(MethodView):
        decorators = [needs_key]

        async def get(self) -> str:
            return f"async {process_loop.is_here()}"

    for cls in (Mixed, Watched, Decorated):
        view = cls.as_view(cls.__name__)
        assert not inspect.iscoroutinefunction(view)
        app.add_url_rule(f"/{cls.__name__}", view_func=view)
    client = app.test_client()
    assert client.get("/Mixed").text == "async True"
    assert client.post("/Mixed").text == "sync False"
    assert client.get("/Watched").text == "watched async True"
    assert client.get("/Decorated").text == "checked async True"


def test_a_coroutine_view_may_be_given_a_plain_class(app: Dewar) -> None:
    """What is synchronous in it stays off the event loop."""

    class Waiting(MethodView):
        async def get(self) -> str:
            return "waited"

    class Plain(View):
        def dispatch_request(self) -> str:
            return f"{request.path} {process_loop.is_here()}"

    view = Waiting.as_view("view")
    view.view_class = Plain  # type: ignore[attr-defined]
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").text == "/ False"


def test_a_method_that_the_class_does_not_have(app: Dewar) -> None:
    """Where the route lets it through all the same, it is answered 405 with those there are."""

    class Some(MethodView):
        def get(self) -> str:
            return "got"

        def put(self) -> str:
            return "put"

    app.testing = True
    app.add_url_rule("/", view_func=Some.as_view("some"), methods=["GET", "DELETE"])
    response = app.test_client().delete("/")
    assert response.status_code == 405
    assert response.allow.as_set() == {"get", "put"}


def test_a_view_without_an_answer(app: Dewar) -> None:
    """The error names the class and the method it needs."""

    class Nothing(View):
        pass

    app.testing = True
    app.add_url_rule("/", view_func=Nothing.as_view("nothing"))
    with pytest.raises(NotImplementedError, match=r"Nothing needs .*def dispatch_request"):
        app.test_client().get("/")


def test_a_class_may_be_used_by_several_routes(app: Dewar) -> None:
    """Each with its own arguments; a blueprint takes it as well."""

    class Named(MethodView):
        def __init__(self, word: str = "none") -> None:
            self.word = word

        def get(self) -> str:
            g.word = self.word
            return f"{request.endpoint} {g.word}"

    blueprint = dewar.Blueprint("inner", __name__, url_prefix="/inner")
    blueprint.add_url_rule("/", view_func=Named.as_view("view", "within"))
    app.add_url_rule("/a", view_func=Named.as_view("a", "one"))
    app.add_url_rule("/b", view_func=Named.as_view("b", word="two"))
    app.add_url_rule("/c", view_func=Named.as_view("c"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    texts = [client.get(path).text for path in ("/a", "/b", "/c", "/inner/")]
    assert texts == ["a one", "b two", "c none", "inner.view within"]


def test_the_app_s_own_ensure_sync_is_asked(app: Dewar) -> None:
    """The app in whose context the view is called decides; a request is not needed for that."""
    asked: list[str] = []

    class Own(Dewar):
        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            asked.append(func.__name__)
            return super().ensure_sync(func)

    class Plain(View):
        def dispatch_request(self) -> str:
            return "plain"

    view = Plain.as_view("plain")
    with Own("own", static_folder=None).app_context():
        assert view() == "plain"
    assert asked == ["dispatch_request"]


def test_the_methods_are_those_of_flask() -> None:
    """The same names answer requests."""
    assert http_method_funcs == flask.views.http_method_funcs

"""The names that a program has for its own things, on every object that it shares with Dewar."""

import importlib
from pathlib import Path
from typing import Any

import pytest

import dewar
from dewar import Dewar, Request, request
from dewar.layers import maybe_own_method
from dewar.server.lifespan import begin_serving, end_serving
from dewar.tasks.tasks import Tasks
from dewar.tasks_http.blueprint import tasks_blueprint
from programnames import (
    CLASSES,
    DEWAR,
    FLASK,
    TAKEN,
    Names,
    Program,
    comparable,
    flask_names,
    free_names,
    is_free,
    names_by_kind,
    vocabulary,
)
from suspendedtools import make_environ

#: What objects have beyond Flask's, as documented.
DOCUMENTED = {
    "app": {
        "after_response", "begin_on_loop", "begin_serving", "body_limit_for", "end_serving",
        "mount", "mounts", "on_start", "on_stop", "websocket",
    },
    "blueprint": {"websocket"},
    "client": {"websocket"},
}  # fmt: skip
#: Classes that a program may inherit from, and of which the program here makes no object.
OTHERS = [
    "cli.FlaskGroup",
    "cli.ScriptInfo",
    "json.provider.JSONProvider",
    "json.tag.JSONTag",
    "sessions.NullSession",
    "sessions.SessionInterface",
    "sessions.SessionMixin",
    "testing.EnvironBuilder",
    "views.View",
]
#: Objects that cannot be given a name, because their class has `__slots__`, or makes them itself.
ONLY_CLASSES = {"serializer", "view"}
_SOON = 20


def all_free(kind: str) -> dict[str, Any]:
    return dict.fromkeys(free_names(kind), TAKEN)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_object_has_no_other_names_than_flask_s(kind: str) -> None:
    """Except those that begin with ``_dewar_``, and the documented ones."""
    found = names_by_kind(DEWAR)[kind] - flask_names()[kind]
    assert set(filter(is_free, found)) == DOCUMENTED.get(kind, set())


@pytest.mark.parametrize("path", OTHERS)
def test_a_class_has_no_other_names_than_flask_s(path: str) -> None:
    """The same, where the program makes no object."""
    module, _, name = path.rpartition(".")
    ours, theirs = (
        getattr(importlib.import_module(f"{framework}.{module}"), name)
        for framework in (DEWAR, FLASK)
    )
    assert {name for name in set(dir(ours)) - set(dir(theirs)) if is_free(name)} == set()


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("where", ["class", "instance"])
def test_every_name_that_flask_does_not_define_is_the_program_s(kind: str, where: str) -> None:
    """Every name in Dewar's code, set on an object or in a subclass: the answers are Flask's.

    By all ways to an answer: plain views, coroutine functions, and an app that overrides a stage.
    """
    if where == "instance" and kind in ONLY_CLASSES:
        return
    names: Names = {kind: all_free(kind)}
    assert len(names[kind]) > 1000
    given = (names, {}) if where == "class" else ({}, names)
    wanted = comparable(Program(FLASK, *given).answers())
    assert comparable(Program(DEWAR, *given).answers()) == wanted
    assert comparable(Program(DEWAR, *given, is_async=True).answers()) == wanted
    assert comparable(Program(DEWAR, *given, overrides=True).answers()) == wanted


def test_the_vocabulary_has_the_names_of_dewar_s_own() -> None:
    """Those that programs were found to use, and those of the documented methods."""
    assert DOCUMENTED["app"] | {"app", "render", "watch", "through"} <= set(vocabulary())
    assert "_dewar_composition" not in vocabulary()


def features(app: Dewar, calls: list[str], ledger: Path) -> None:
    """Give an app what only Dewar has, by the methods of the class."""
    tasks = Tasks(app, ledger=ledger, poll=0.02)
    app.register_blueprint(tasks_blueprint(tasks, access=lambda job, action: True))
    double = tasks.task()(twice)
    inner = Dewar("inner", static_folder=None)
    inner.add_url_rule("/", "index", lambda: "inner")
    Dewar.on_start(inner, lambda: calls.append("+inner"))
    Dewar.mount(app, "/in", inner)
    Dewar.on_start(app, lambda: calls.append("+app"))
    Dewar.on_stop(app, lambda timeout: calls.append("-app"))

    @app.get("/job")
    def job() -> Any:
        return [double.submit(2).result(_SOON)]

    @app.get("/later")
    def later() -> str:
        Dewar.after_response(app, calls.append, "later")
        return "now"

    @app.get("/coroutine")
    async def coroutine() -> str:
        return request.path


def twice(number: int) -> int:
    return number * 2


def check_features(app: Dewar, calls: list[str]) -> None:
    """Check them, by what Dewar's server calls and by the test client."""
    begin_serving(app)
    client = Dewar.test_client(app)
    assert client.get("/in/").text == "inner"
    assert client.get("/later").text == "now"
    assert client.get("/job").json == [4]
    assert client.get("/tasks/none").json == {"error": "There is no such job."}
    begin = maybe_own_method(app, "begin_on_loop")
    assert begin(make_environ("GET", "/coroutine"), lambda *_: None) is not None
    limit = maybe_own_method(app, "body_limit_for")
    assert limit(make_environ("POST", "/nowhere")) == 0
    end_serving(app, _SOON)
    assert calls == ["+app", "+inner", "later", "-app"]


@pytest.mark.parametrize("where", ["class", "instance", "nowhere"])
def test_what_only_dewar_has_works_where_its_names_are_taken(where: str, tmp_path: Path) -> None:
    """Mounts, jobs, the start and the end, work after responses, and what the server asks."""
    names = all_free("app") | dict.fromkeys(DOCUMENTED["app"], TAKEN)
    calls: list[str] = []
    app = (type("Own", (Dewar,), names) if where == "class" else Dewar)("own", static_folder=None)
    features(app, calls, tmp_path / "jobs.sqlite3")
    for name in names if where == "instance" else ():
        setattr(app, name, TAKEN)
    check_features(app, calls)
    if where != "nowhere":
        assert app.mounts is TAKEN  # type: ignore[comparison-overlap]  # the program's


def test_a_method_for_app_contexts_on_the_app_itself_is_called() -> None:
    """As one in a subclass is: once for each request."""
    app = dewar.Dewar("own", static_folder=None)
    app.add_url_rule("/", "index", lambda: "index")
    made: list[Any] = []
    original = app.app_context
    app.app_context = lambda: made.append(original()) or made[-1]  # type: ignore[method-assign, func-returns-value]  # short
    assert app.test_client().get("/").text == "index"
    assert len(made) == 1


@pytest.mark.parametrize("debug", [False, True])
def test_the_limits_of_a_request_count_whatever_it_has(debug: bool) -> None:
    """And the help of debug mode."""
    app = Dewar("own")
    app.debug = debug
    app.config["MAX_CONTENT_LENGTH"] = 20
    app.request_class = type("Own", (Request,), all_free("request"))
    app.add_url_rule("/", "form", lambda: request.form["a"], methods=["POST"])
    app.add_url_rule("/json", "json", lambda: request.get_json(), methods=["POST"])
    client = app.test_client()
    assert client.post("/", data={"a": "1"}).text == "1"
    assert client.post("/", data={"a": "1" * 20}).status_code == 413
    answer = client.post("/json", data="{", content_type="application/json")
    assert ("Failed to decode JSON" in answer.text) == debug


@pytest.mark.parametrize("where", ["object", "class"])
def test_a_method_that_replaces_the_one_of_the_json_provider_is_called(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what a view returns as well: set on the provider, or for a test on its class."""
    app = Dewar("own", static_folder=None)
    app.add_url_rule("/", "index", lambda: {"a": 1})
    assert app.test_client().get("/").text == '{"a":1}\n'
    owner = app.json if where == "object" else type(app.json)
    monkeypatch.setattr(owner, "response", lambda *args: app.response_class("replaced"))
    assert app.test_client().get("/").text == "replaced"

"""Registering: what is taken, and what is refused with the way out."""

import importlib
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.exceptions import NotFound

import dewar
from dewar import Dewar
from dewar.registration.error_handlers import class_and_code, find_handler, new_error_handlers
from dewar.registration.hooks import HookTable, WatchedDict, WatchedList
from dewar.registration.packages import root_path_of

FOLDERS = [
    None, "", "static", "static/", "a/b", "/", "//", ".", "./", "..", "a/.", "a/..", "a//b", "\\",
    "/srv/files", "/srv/files/", Path("static"), Path(), Path("/"),
]  # fmt: skip


@pytest.fixture
def app() -> Dewar:
    return Dewar("registering", static_folder=None)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_each_method_has_a_decorator(app: Dewar, method: str) -> None:
    """And it takes only that one."""

    @getattr(app, method)("/x")
    def view() -> str:
        return method

    client = app.test_client()
    assert client.open("/x", method=method.upper()).text == method
    assert client.open("/x", method="GET" if method != "get" else "POST").status_code == 405
    with pytest.raises(TypeError, match=r"@route\('/y', methods=\['GET'\]\)"):
        Dewar("other").get("/y", methods=["GET"])


def test_an_endpoint_has_one_view(app: Dewar) -> None:
    """The same view may have several rules; a second view needs another name."""

    @app.route("/a")
    @app.route("/b")
    def view() -> str:
        return "view"

    def other() -> str:
        return "other"

    assert app.test_client().get("/b").text == "view"
    fresh = Dewar("fresh", static_folder=None)
    fresh.add_url_rule("/a", "view", view)
    with pytest.raises(AssertionError, match=r"existing endpoint function: view.*endpoint='view2'"):
        fresh.add_url_rule("/c", "view", other)
    assert [rule.rule for rule in fresh.url_map.iter_rules()] == ["/a"]


def test_methods_have_to_be_a_list(app: Dewar) -> None:
    """Text would be taken letter by letter."""
    with pytest.raises(TypeError, match=r"methods=\['POST'\]"):
        app.add_url_rule("/", "x", lambda: "", methods="POST")


def test_a_view_may_bring_its_methods(app: Dewar) -> None:
    """As view classes do."""

    def view() -> str:
        return "x"

    view.methods = ["POST"]  # type: ignore[attr-defined]
    view.required_methods = ["PATCH"]  # type: ignore[attr-defined]
    view.provide_automatic_options = False  # type: ignore[attr-defined]
    app.add_url_rule("/", view_func=view)
    client = app.test_client()
    assert client.post("/").text == client.patch("/").text == "x"
    assert client.get("/").status_code == client.options("/").status_code == 405


def test_an_endpoint_without_a_view_says_what_is_missing(app: Dewar) -> None:
    """A rule may come first and its view later."""
    app.testing = True
    app.add_url_rule("/", "later")
    app.add_url_rule("/never", "never")

    @app.endpoint("later")
    def view() -> str:
        return "later"

    client = app.test_client()
    assert client.get("/").text == "later"
    with pytest.raises(KeyError, match=r"@app\.endpoint\('never'\)"):
        client.get("/never")
    with pytest.raises(AssertionError, match="needs an endpoint or a view function"):
        Dewar("fresh").add_url_rule("/")


@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (200, ValueError, "200 is not a recognized HTTP error code"),
        (NotFound(), TypeError, r"@app\.errorhandler\(NotFound\)"),
        ("404", TypeError, "is not a subclass of Exception"),
        (dict, ValueError, "'dict' is not a subclass of Exception"),
    ],
)
def test_what_can_not_be_handled_is_refused(
    app: Dewar, thing: Any, error: type[Exception], message: str
) -> None:
    """With what can."""
    with pytest.raises(error, match=message):
        app.register_error_handler(thing, lambda e: "")
    assert class_and_code(404) == (NotFound, 404)


def test_the_nearest_handler_is_found() -> None:
    """By status before by class, by blueprint before by app, by class before by parent."""
    handlers = new_error_handlers()
    handlers[None][404][NotFound] = str
    handlers["inner"][None][Exception] = repr
    handlers["outer"][None][KeyError] = len
    assert find_handler(handlers, NotFound(), ["inner", "outer"]) is str
    assert find_handler(handlers, KeyError(), ["inner", "outer"]) is repr
    assert find_handler(handlers, KeyError(), ["outer"]) is len
    assert find_handler(handlers, ValueError(), ["outer"]) is None
    assert set(handlers) == {None, "inner", "outer"}


def test_every_change_of_a_watched_container_is_told() -> None:
    """However it is changed."""
    told: list[str] = []

    def changed() -> None:
        told.append("")

    table: HookTable[Any] = HookTable(changed)
    steps = [
        lambda: table[None].append(1), lambda: table[None].extend([2, 3]),
        lambda: table[None].remove(2), lambda: table[None].insert(0, 4),
        lambda: table[None].__setitem__(0, 5), lambda: table[None].pop(),
        lambda: table[None].clear(), lambda: table.update({"b": [1]}),
        lambda: table.setdefault("c", [1]), lambda: table["b"].append(2),
        lambda: table.pop("b"), lambda: table.__setitem__(None, [1]),
    ]  # fmt: skip
    for number, step in enumerate(steps):
        before = len(told)
        step()
        assert len(told) > before, f"step {number}"
    assert table == {None: [1], "c": [1]}
    before = len(told)
    assert table["c"][0] == 1
    assert list(table) == [None, "c"]
    assert len(told) == before
    assert WatchedList(changed, [1, 2]) == [1, 2]
    plain: WatchedDict[str, int] = WatchedDict(changed)
    plain |= {"a": 1}
    assert (plain, len(told)) == ({"a": 1}, before + 1)


def test_folders_are_found_from_the_module(tmp_path: Path) -> None:
    """The app's own, and the one for what an installation keeps."""
    assert root_path_of(__name__) == str(Path(__file__).parent)
    assert root_path_of("no_such_module") == str(Path.cwd())
    assert root_path_of("json.decoder") == str(Path(__import__("json").__file__).parent)
    app = Dewar("folders", root_path=str(tmp_path), instance_path=str(tmp_path / "kept"))
    assert app.instance_path == str(tmp_path / "kept")
    # The root path has no influence, as in Flask.
    own = Dewar("folders", root_path=str(tmp_path))
    assert own.instance_path == str(Path.cwd() / "instance")
    with pytest.raises(ValueError, match="must be absolute"):
        Dewar("folders", instance_path="relative")
    assert repr(app) == "<Dewar 'folders'>"


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("url_path", [None, "", "/", "/files/"])
def test_static_files_are_where_flask_has_them(
    tmp_path: Path, folder: str | Path | None, url_path: str | None
) -> None:
    """Their folder and their URL, whatever the folder is called; of an app and of a blueprint."""

    def seen(framework: Any, cls: Any) -> Any:
        names = ("own", __name__) if cls == "Blueprint" else (__name__,)
        made = getattr(framework, cls)(
            *names, static_folder=folder, static_url_path=url_path, root_path=str(tmp_path)
        )
        return made.static_folder, made.static_url_path, made.has_static_folder

    assert seen(dewar, "Dewar") == seen(flask, "Flask")
    assert seen(dewar, "Blueprint") == seen(flask, "Blueprint")


def test_a_class_may_say_where_its_static_files_are(tmp_path: Path) -> None:
    """Whatever was given: the attribute is what counts, as in Flask."""
    (tmp_path / "own.txt").write_text("own")

    class Chosen:
        @property
        def static_folder(self) -> str:
            return str(tmp_path)

        @static_folder.setter
        def static_folder(self, value: Any) -> None:
            """Ignore what was given."""

    class Own(Chosen, Dewar): ...  # type: ignore[misc]  # of another kind, as programs do it

    class OwnBlueprint(Chosen, dewar.Blueprint): ...  # type: ignore[misc]  # as above

    app = Own("own", root_path=str(tmp_path))
    app.register_blueprint(OwnBlueprint("part", "part", url_prefix="/p", root_path=str(tmp_path)))
    client = app.test_client()
    for url in (f"/{tmp_path.name}/own.txt", f"/p/{tmp_path.name}/own.txt"):
        assert client.get(url, buffered=True).text == "own"


def test_no_static_folder_serves_what_is_outside_of_the_app(tmp_path: Path) -> None:
    """The slash is the app's own folder, and the files of a dot are not at the root."""
    (tmp_path / "app").mkdir()
    for name in ("secret.txt", "app/own.txt"):
        (tmp_path / name).write_text(name)
    root = str(tmp_path / "app")
    client = Dewar("own", root_path=root, static_folder="/").test_client()
    with client.get("/own.txt") as response:
        assert response.text == "app/own.txt"
    for outside in (f"{tmp_path}/secret.txt", "/../secret.txt", f"/{tmp_path}/secret.txt"):
        assert client.get(outside).status_code in {404, 308}
    dotted = Dewar("own", root_path=root, static_folder=".").test_client()
    assert dotted.get("/own.txt").status_code == 404
    with dotted.get("/./own.txt") as response:
        assert response.text == "app/own.txt"


def test_the_folder_of_a_linked_module_is_that_of_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases that one link leads to, one after the other, have one instance folder."""
    (tmp_path / "release/linkedshop").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    for name in ("linkedshop/__init__.py", "linkedfile.py"):
        (tmp_path / "release" / name).write_text("from dewar import Dewar\napp = Dewar(__name__)\n")
    for name in ("linkedshop", "linkedfile.py"):
        (tmp_path / "site" / name).symlink_to(tmp_path / "release" / name)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    site = str(tmp_path / "site")
    package = importlib.import_module("linkedshop").app
    assert (package.root_path, package.instance_path) == (f"{site}/linkedshop", f"{site}/instance")
    module = importlib.import_module("linkedfile").app
    assert (module.root_path, module.instance_path) == (site, f"{site}/instance")

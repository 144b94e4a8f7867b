"""Blueprints: what they give the app, and what they refuse."""

import gc
import weakref
from pathlib import Path
from typing import Any

import click
import pytest

from dewar import Blueprint, Dewar, g, render_template, render_template_string, request, url_for
from dewar.errors import DewarError


@pytest.fixture
def app() -> Dewar:
    return Dewar("outer", static_folder=None)


@pytest.fixture
def shop() -> Blueprint:
    return Blueprint("shop", __name__, url_prefix="/shop")


def test_its_routes_are_below_its_prefix_and_name(app: Dewar, shop: Blueprint) -> None:
    """The rule begins with the prefix, the endpoint with the name; a rule may be empty."""
    shop.add_url_rule("", "root", lambda: "root")

    @shop.get("/basket")
    def basket() -> str:
        return f"{request.endpoint} {request.blueprint} {url_for('.root')} {url_for('.basket')}"

    app.register_blueprint(shop)
    client = app.test_client()
    assert client.get("/shop/basket").text == "shop.basket shop /shop /shop/basket"
    assert client.get("/shop").text == "root"
    assert client.get("/shop/").status_code == 404
    assert app.blueprints == {"shop": shop}
    assert list(app.iter_blueprints()) == [shop]
    assert repr(shop) == "<Blueprint 'shop'>"


def test_options_of_the_registration_go_before_its_own(app: Dewar, shop: Blueprint) -> None:
    """Name, prefix and defaults; so it can be registered several times."""

    @shop.get("/<lang>/x")
    @shop.get("/y")
    def show(lang: str) -> str:
        return f"{request.endpoint} {lang}"

    app.register_blueprint(shop, url_defaults={"lang": "en"})
    app.register_blueprint(shop, name="laden", url_prefix="/laden", url_defaults={"lang": "de"})
    client = app.test_client()
    assert client.get("/shop/y").text == "shop.show en"
    assert client.get("/laden/y").text == "laden.show de"
    assert set(app.blueprints) == {"shop", "laden"}
    with app.test_request_context():
        assert url_for("laden.show", lang="de") == "/laden/y"


def test_its_hooks_run_for_its_views_only(app: Dewar, shop: Blueprint) -> None:
    """The app's come first; those with ``app`` in their names run for all views."""
    told: list[str] = []
    for name in ("before_request", "before_app_request"):
        getattr(shop, name)(lambda name=name: told.append(name))
    for name in ("after_request", "after_app_request"):
        getattr(shop, name)(lambda response, name=name: told.append(name) or response)
    for name in ("teardown_request", "teardown_app_request"):
        getattr(shop, name)(lambda error, name=name: told.append(name))
    shop.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/", "index", lambda: "")
    app.register_blueprint(shop)
    app.test_client().get("/")
    assert told == ["before_app_request", "after_app_request", "teardown_app_request"]
    told.clear()
    app.test_client().get("/shop/")
    assert told == [
        "before_app_request", "before_request", "after_request", "after_app_request",
        "teardown_request", "teardown_app_request",
    ]  # fmt: skip


def test_hooks_of_a_blueprint_registered_twice(app: Dewar, shop: Blueprint) -> None:
    """Its own run once for each of its names; those for the app are not doubled."""
    told: list[str] = []
    shop.before_request(lambda: told.append("own"))
    shop.before_app_request(lambda: told.append("app"))
    shop.add_url_rule("/", "index", lambda: "")
    app.register_blueprint(shop)
    app.register_blueprint(shop, name="again", url_prefix="/again")
    app.test_client().get("/again/")
    assert told == ["app", "own"]


def test_parents_come_first(app: Dewar) -> None:
    """Before the view the outermost hook runs first, after it the innermost."""
    told: list[str] = []
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__, url_prefix="/in")
    for blueprint in (outer, inner):
        name = blueprint.name
        blueprint.before_request(lambda name=name: told.append(f"before {name}"))
        blueprint.after_request(lambda r, name=name: told.append(f"after {name}") or r)
    inner.add_url_rule("/", "index", lambda: " ".join(request.blueprints))
    outer.register_blueprint(inner, url_prefix="/deep")
    app.register_blueprint(outer, url_prefix="/out/")
    assert app.test_client().get("/out/deep/").text == "outer.inner outer"
    assert told == ["before outer", "before inner", "after inner", "after outer"]


def test_the_innermost_error_handler_answers(app: Dewar, shop: Blueprint) -> None:
    """A handler for the app's errors answers where the blueprint's does not."""
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    for blueprint, rule in ((shop, "/"), (inner, "/")):
        blueprint.add_url_rule(rule, "fails", lambda: 1 / 0)
        blueprint.add_url_rule("/key", "key", lambda: {}["missing"])
    shop.register_error_handler(ArithmeticError, lambda error: "shop's")
    shop.app_errorhandler(404)(lambda error: ("app's", 404))
    inner.errorhandler(ZeroDivisionError)(lambda error: "inner's")
    inner.errorhandler(Exception)(lambda error: "any of inner's")
    shop.register_blueprint(inner)
    app.register_blueprint(shop)
    client = app.test_client()
    assert client.get("/shop/").text == "shop's"
    assert client.get("/shop/inner/").text == "inner's"
    assert client.get("/shop/inner/key").text == "any of inner's"
    assert client.get("/nowhere").text == "app's"


def test_handlers_changed_afterwards_are_the_app_s_own(app: Dewar, shop: Blueprint) -> None:
    """A registration copies them: one app's change is not seen by another."""
    shop.errorhandler(404)(lambda error: "first")
    other = Dewar("other", static_folder=None)
    app.register_blueprint(shop)
    other.register_blueprint(shop)
    app.error_handler_spec["shop"][404].clear()
    assert other.error_handler_spec["shop"][404]
    assert shop.error_handler_spec[None][404]


def test_it_fills_templates(app: Dewar, shop: Blueprint) -> None:
    """Filters, tests, globals and the names of context processors, its own and the app's."""

    @shop.app_template_filter
    def bare(value: str) -> str:
        return f"{value}!"

    @shop.app_template_filter("renamed")
    def some(value: str) -> str:
        return f"{value}?"

    shop.app_template_test()(named(lambda value: value == "x", "an_x"))
    shop.app_template_global(named(lambda: "called", "callme"))
    shop.add_app_template_global(lambda: "added", "addme")
    shop.context_processor(lambda: {"own": "own"})
    shop.app_context_processor(lambda: {"all": "all"})
    source = "{{ 'a'|bare }}{{ 'b'|renamed }}{{ 'x' is an_x }}{{ callme() }}{{ addme() }}"
    names = " {{ own }} {{ all }}"
    shop.add_url_rule("/", "index", lambda: render_template_string(source + names))
    app.add_url_rule("/", "index", lambda: render_template_string(source + names))
    app.register_blueprint(shop)
    assert app.test_client().get("/shop/").text == "a!b?Truecalledadded own all"
    assert app.test_client().get("/").text == "a!b?Truecalledadded  all"


def named(function: Any, name: str) -> Any:
    function.__name__ = name
    return function


def test_its_folders(app: Dewar, tmp_path: Path) -> None:
    """Static files below its prefix, templates after the app's, resources beside it."""
    for folder, text in (("static", "style"), ("templates", "page of {{ request.blueprint }}")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file.html").write_text(text)
    shop = Blueprint(
        "shop", __name__, "static", template_folder="templates", url_prefix="/shop",
        root_path=str(tmp_path),
    )  # fmt: skip
    shop.add_url_rule("/", "index", lambda: render_template("file.html"))
    app.register_blueprint(shop)
    client = app.test_client()
    with client.get("/shop/static/file.html") as response:
        assert response.text == "style"
    assert client.get("/shop/").text == "page of shop"
    assert client.get("/static/file.html").status_code == 404
    with shop.open_resource("static/file.html", "r") as file:
        assert file.read() == "style"
    with app.test_request_context():
        assert url_for("shop.static", filename="file.html") == "/shop/static/file.html"


def test_its_url_functions(app: Dewar, shop: Blueprint) -> None:
    """They see its own URLs, or with ``app`` all of them."""

    @shop.url_value_preprocessor
    def take(endpoint: str, values: dict[str, Any]) -> None:
        g.lang = values.pop("lang")

    @shop.url_defaults
    def give(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", g.lang)

    @shop.app_url_defaults
    def give_all(endpoint: str, values: dict[str, Any]) -> None:
        values["all"] = 1

    seen: list[Any] = []
    shop.app_url_value_preprocessor(lambda endpoint, values: seen.append((endpoint, values)))
    shop.add_url_rule("/<lang>", "index", lambda: f"{url_for('.index')} {url_for('home')}")
    app.add_url_rule("/", "home", lambda: "")
    app.register_blueprint(shop)
    assert app.test_client().get("/shop/de").text == "/shop/de?all=1 /?all=1"
    app.test_client().get("/")
    assert seen == [("shop.index", {}), ("home", {})]


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [({}, {}, ["shop"]), ({"cli_group": None}, {}, ["bare"]), ({"cli_group": "x"}, {}, ["x"]),
     ({"cli_group": "x"}, {"cli_group": None}, ["bare"]), ({}, {"name": "n"}, ["n"])],
)  # fmt: skip
def test_its_commands_are_a_group(
    app: Dewar, own: dict[str, Any], given: dict[str, Any], expected: list[str]
) -> None:
    """Named as the blueprint or as it says, or put among the app's own."""
    shop = Blueprint("shop", __name__, **own)
    shop.cli.command("bare")(lambda: click.echo("done"))
    app.register_blueprint(shop, **given)
    assert list(app.cli.commands) == expected
    words = expected if expected == ["bare"] else [*expected, "bare"]
    assert app.test_cli_runner().invoke(args=words).output == "done\n"
    empty = Dewar("empty")
    empty.register_blueprint(Blueprint("without", __name__))
    assert list(empty.cli.commands) == []


def test_recorded_functions_see_each_registration(app: Dewar, shop: Blueprint) -> None:
    """`record_once` those only where the blueprint is new to the app."""
    told: list[Any] = []
    shop.record(lambda state: told.append((state.name, state.first_registration)))

    @shop.record_once
    def once(state: Any) -> None:
        told.append(f"once on {state.app.name}")

    app.register_blueprint(shop)
    app.register_blueprint(shop, name="again")
    Dewar("other").register_blueprint(shop)
    assert told == [
        ("shop", True), "once on outer", ("again", False), ("shop", True), "once on other",
    ]  # fmt: skip
    assert shop.deferred_functions[1].__name__ == "once"


def test_a_subclass_brings_its_own_state(app: Dewar) -> None:
    """`make_setup_state` decides what recorded functions are called with."""

    class Numbered(Blueprint):
        def make_setup_state(
            self, app: Any, options: dict[str, Any], first_registration: bool = False
        ) -> Any:
            state = super().make_setup_state(app, options, first_registration)
            state.url_prefix = "/numbered"
            return state

    blueprint = Numbered("numbered", __name__)
    blueprint.add_url_rule("/x", "x", lambda: "x")
    app.register_blueprint(blueprint)
    assert app.test_client().get("/numbered/x").text == "x"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda shop: Blueprint("", __name__), r"may not be empty: Blueprint\('shop', __name__\)"),
        (lambda shop: Blueprint("a.b", __name__), "'name' may not contain a dot.*'a_b'"),
        (lambda shop: shop.route("/", endpoint="a.b")(str), "'endpoint' may not contain a dot"),
        (
            lambda shop: shop.add_url_rule("/", "fine", named(lambda: "", "a.b")),
            "'view_func name' may not contain a dot",
        ),
        (lambda shop: shop.register_blueprint(shop), "Cannot register a blueprint on itself"),
    ],
)
def test_what_is_wrong_is_refused(wrong: Any, message: str, shop: Blueprint) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=message):
        wrong(shop)


def test_a_name_is_taken_once(app: Dewar, shop: Blueprint) -> None:
    """The error says by which, and how to have both."""
    app.register_blueprint(shop)
    with pytest.raises(ValueError, match=r"for this blueprint\. Use 'name='.*name='shop2'") as told:
        app.register_blueprint(shop)
    assert isinstance(told.value, DewarError)
    with pytest.raises(ValueError, match="for a different blueprint"):
        app.register_blueprint(Blueprint("shop", __name__))
    parent = Blueprint("parent", __name__)
    for _ in range(2):
        parent.register_blueprint(Blueprint("child", __name__))
    with pytest.raises(ValueError, match=r"a different blueprint 'parent\.child'"):
        app.register_blueprint(parent)


@pytest.mark.parametrize(
    "late",
    [
        lambda shop: shop.route("/late"), lambda shop: shop.get("/late"),
        lambda shop: shop.add_url_rule("/late", "late"), lambda shop: shop.before_request(str),
        lambda shop: shop.app_errorhandler(404), lambda shop: shop.record(str),
        lambda shop: shop.app_template_filter(), lambda shop: shop.register_blueprint(shop),
        lambda shop: shop.endpoint("x"), lambda shop: shop.app_url_defaults(str),
    ],
)  # fmt: skip
def test_setup_ends_with_the_first_registration(app: Dewar, shop: Blueprint, late: Any) -> None:
    """What came later would be missing where it was registered."""
    app.register_blueprint(shop)
    with pytest.raises(AssertionError, match="can no longer be called on the blueprint 'shop'"):
        late(shop)


def test_the_app_does_not_stay_for_its_blueprint(shop: Blueprint) -> None:
    """A blueprint outlives apps: it holds none of those it is registered on."""
    app = Dewar("short", static_folder=None)
    shop.add_url_rule("/", "index", lambda: "")
    app.register_blueprint(shop)
    app.test_client().get("/shop/")
    alive = weakref.ref(app)
    del app
    gc.collect()
    assert alive() is None

"""Templates, and the names in them."""

import importlib
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2 import TemplateNotFound

from dewar import (
    Dewar,
    before_render_template,
    g,
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
)


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "page.html").write_text("{{ name }} {{ request.path }}")
    (templates / "plain.txt").write_text("{{ name }}")
    (templates / "macros.html").write_text("{% macro path() %}{{ request.path }}{% endmacro %}")
    app = Dewar("templating", root_path=str(tmp_path))
    app.secret_key = "key"
    return app


def test_values_are_escaped_in_html_and_not_in_text(app: Dewar) -> None:
    """By the ending of the template's name; text given directly is HTML."""
    with app.test_request_context("/p"):
        assert render_template("page.html", name="<b>") == "&lt;b&gt; /p"
        assert render_template("plain.txt", name="<b>") == "<b>"
        assert render_template_string("{{ name }}", name="<b>") == "&lt;b&gt;"
        assert render_template(["missing.html", "plain.txt"], name="x") == "x"
        with pytest.raises(TemplateNotFound):
            render_template("missing.html")


def test_the_usual_names_are_there(app: Dewar) -> None:
    """request, session, g, config and the functions; also in imported templates."""
    app.config["TITLE"] = "T"
    app.add_url_rule("/home", "home", lambda: "")
    with app.test_request_context("/p"):
        g.x = "of g"
        session["y"] = "of the session"
        text = "{{ g.x }}, {{ session['y'] }}, {{ config.TITLE }}, {{ url_for('home') }}"
        assert render_template_string(text) == "of g, of the session, T, /home"
        macro = "{% import 'macros.html' as m %}{{ m.path() }}"
        assert render_template_string(macro) == "/p"
    with app.app_context():
        assert render_template_string("{{ g }} {{ request is defined }}") == (
            "&lt;flask.g of &#39;templating&#39;&gt; True"
        )


def test_a_page_that_does_not_look_at_the_session_has_not_read_it(app: Dewar) -> None:
    """So caches need not tell visitors apart."""
    app.add_url_rule("/without", "without", lambda: render_template("plain.txt", name="x"))
    app.add_url_rule("/with", "with", lambda: render_template_string("{{ session.get('user') }}"))
    client = app.test_client()
    assert "Vary" not in client.get("/without").headers
    assert client.get("/with").headers["Vary"] == "Cookie"


def test_context_processors_add_names_and_given_names_win(app: Dewar) -> None:
    """What the view passes is what it meant."""
    app.context_processor(lambda: {"name": "processor", "more": 1})
    with app.test_request_context("/"):
        assert render_template_string("{{ name }} {{ more }}") == "processor 1"
        assert render_template_string("{{ name }} {{ more }}", name="view") == "view 1"


def test_rendering_announces_itself(app: Dewar) -> None:
    """Before and after, with the template and its names."""
    seen: list[Any] = []

    def note(sender: Any, template: Any, context: dict[str, Any], **_: Any) -> None:
        seen.append((template.name, context["name"]))

    with before_render_template.connected_to(note, app), template_rendered.connected_to(note, app):
        with app.test_request_context("/"):
            render_template("plain.txt", name="x")
            "".join(stream_template("plain.txt", name="y"))
    assert seen == [("plain.txt", "x")] * 2 + [("plain.txt", "y")] * 2


def test_a_streamed_template_keeps_the_request(app: Dewar) -> None:
    """It is rendered after the view has returned."""
    text = "{% for n in range(3) %}{{ n }} {{ request.path }} {% endfor %}"
    app.add_url_rule("/stream", "stream", lambda: stream_template_string(text))
    assert app.test_client().get("/stream").text == "0 /stream 1 /stream 2 /stream "
    with app.app_context():
        assert "".join(stream_template_string("{{ 1 + 1 }}")) == "2"


def test_debug_mode_reloads_templates(app: Dewar, tmp_path: Path) -> None:
    """Otherwise a template is read once."""
    assert app.jinja_env.auto_reload is False
    app.debug = True
    assert app.jinja_env.auto_reload is True
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    app.debug = False
    assert app.jinja_env.auto_reload is True
    assert app.jinja_env.list_templates() == ["macros.html", "page.html", "plain.txt"]
    assert not request


@pytest.mark.parametrize("framework", ["flask", "dewar.compat.flask"])
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("options", [{}, {"auto_reload": False}, {"auto_reload": True}])
@pytest.mark.parametrize("reload", [None, False, True])
def test_debug_mode_decides_whether_the_environment_reloads(
    framework: str, debug: bool, options: dict[str, Any], reload: bool | None
) -> None:
    """As on Flask, although Dewar makes the environment later; whatever else is set."""
    lib = importlib.import_module(framework)
    app = lib.Flask("reloads", static_folder=None)
    app.jinja_options = options
    app.config["TEMPLATES_AUTO_RELOAD"] = reload
    app.debug = debug
    assert app.jinja_env.auto_reload is (
        debug if reload is None else options.get("auto_reload", reload)
    )


@pytest.mark.parametrize("framework", ["flask", "dewar.compat.flask"])
def test_debug_mode_reaches_an_environment_of_the_program(framework: str) -> None:
    """Which it makes in a method or a property of its own."""
    lib = importlib.import_module(framework)
    made = jinja2.Environment(auto_reload=False)
    in_method = type("InMethod", (lib.Flask,), {"create_jinja_environment": lambda _: made})
    app = in_method("of_method", static_folder=None)
    app.debug = True
    assert app.jinja_env is made
    assert made.auto_reload is True
    in_property = type("InProperty", (lib.Flask,), {"jinja_env": property(lambda _: made)})
    in_property("of_property", static_folder=None).debug = False
    assert made.auto_reload is False


@pytest.mark.parametrize("framework", ["flask", "dewar.compat.flask"])
def test_the_class_of_the_environment_can_be_read_and_replaced(framework: str) -> None:
    """On the class of the app, a subclass and the app."""
    lib = importlib.import_module(framework)
    stock = lib.Flask.jinja_environment
    assert issubclass(stock, jinja2.Environment)
    app = lib.Flask("stock", static_folder=None)
    assert app.jinja_environment is stock is type(app.jinja_env)
    own = type("Own", (stock,), {})
    sub = type("Sub", (lib.Flask,), {"jinja_environment": own})("sub", static_folder=None)
    assert type(sub.jinja_env) is sub.jinja_environment is own
    other = lib.Flask("other", static_folder=None)
    other.jinja_environment = own
    assert type(other.jinja_env) is own


@pytest.mark.parametrize("framework", ["flask", "dewar.compat.flask"])
def test_a_global_of_the_program_named_session_is_used(framework: str) -> None:
    """In a request too: Flask puts `g` and `request` over the globals, and not the session."""
    lib = importlib.import_module(framework)
    app = lib.Flask("own", static_folder=None)
    app.jinja_env.globals["session"] = "own"
    with app.test_request_context("/"):
        assert lib.render_template_string("{{ session }}") == "own"
        names: dict[str, Any] = {}
        app.update_template_context(names)
        assert sorted(names) == ["g", "request"]

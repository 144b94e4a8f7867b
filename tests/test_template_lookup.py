"""Where templates are looked for, and what is told of it."""

import logging
from pathlib import Path
from typing import Any

import flask
import pytest
from jinja2 import ChoiceLoader, DictLoader, TemplateNotFound

import dewar
from dewar import Blueprint, Dewar, get_template_attribute, render_template
from dewar.template_lookup import TemplatesOfAll


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Templates of an app and of two blueprints; each has `all.html`."""
    for owner in ("app", "shop", "blog"):
        (tmp_path / owner / "templates").mkdir(parents=True)
        for name in ("all", owner):
            (tmp_path / owner / "templates" / f"{name}.html").write_text(f"{name} of the {owner}")
    (tmp_path / "blog" / "templates" / "both.html").write_text("both of the blog")
    (tmp_path / "shop" / "templates" / "both.html").write_text("both of the shop")
    return tmp_path


def build(framework: Any, app_class: Any, folders: Path) -> Any:
    app = app_class("app", root_path=str(folders / "app"), static_folder=None)
    for name in ("shop", "blog"):
        blueprint = framework.Blueprint(
            name, name, template_folder="templates", root_path=str(folders / name)
        )
        blueprint.add_url_rule(
            f"/{name}/<template>", "show", lambda template: framework.render_template(template)
        )
        app.register_blueprint(blueprint)
    app.register_blueprint(framework.Blueprint("bare", "bare"))
    return app


@pytest.fixture
def app(folders: Path) -> Dewar:
    made: Dewar = build(dewar, Dewar, folders)
    return made


def test_the_app_s_templates_go_before_those_of_blueprints(app: Dewar) -> None:
    """And a blueprint's before those of the ones registered later."""
    with app.app_context():
        texts = [render_template(f"{name}.html") for name in ("all", "both", "blog", "shop")]
        assert texts == [
            "all of the app",
            "both of the shop",
            "blog of the blog",
            "shop of the shop",
        ]
        with pytest.raises(TemplateNotFound, match=r"none\.html"):
            render_template("none.html")


def test_all_templates_are_listed_once(app: Dewar) -> None:
    """From everywhere, in the order of their names."""
    loader = app.jinja_env.loader
    assert isinstance(loader, TemplatesOfAll)
    assert loader.list_templates() == ["all.html", "app.html", "blog.html", "both.html", "shop.html"]  # fmt: skip # noqa: E501
    bare = Dewar("bare", template_folder=None)
    assert bare.jinja_env.list_templates() == []


def explained(framework: Any, app_class: Any, folders: Path, path: str) -> list[str]:
    """Return what is logged when a template is looked for, line by line."""
    app = build(framework, app_class, folders)
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.INFO:
                lines.extend(record.getMessage().splitlines())

    app.logger.handlers[:] = [Keep()]
    app.logger.setLevel(logging.INFO)
    app.logger.propagate = False
    try:
        app.test_client().get(path)
    finally:
        app.logger.handlers.clear()
        app.logger.propagate = True
    return lines


@pytest.mark.parametrize("path", ["/shop/both.html", "/blog/none.html", "/blog/blog.html"])
def test_the_search_is_explained_in_the_log(folders: Path, path: str) -> None:
    """Each place with its folder and what was there, and what is odd about it, as Flask does."""
    ours = explained(dewar, Dewar, folders, path)
    theirs = explained(flask, flask.Flask, folders, path)

    def steps(lines: list[str]) -> list[str]:
        # Flask lists each option of the loader, and words the odd cases in its own way.
        wanted = ("trying loader", "class:", "->", "Locating", "The template was looked up")
        return [line.strip() for line in lines if any(word in line for word in wanted)]

    assert steps(ours) == steps(theirs)
    assert f"searchpath: {folders / 'shop' / 'templates'}" in "\n".join(ours)
    for word in ("Error: the template could not be found", "Warning: multiple loaders returned"):
        assert any(word in line for line in ours) == any(word in line for line in theirs)


def test_the_explanation_gives_the_first_found(app: Dewar) -> None:
    """Explaining changes nothing, also where a loader is no folder and nobody is in a request."""
    app.jinja_loader = ChoiceLoader([DictLoader({"text.html": "text"})])  # type: ignore[assignment]
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.logger.disabled = True
    with app.app_context():
        assert render_template("all.html") == "all of the shop"
        assert render_template("text.html") == "text"
        with pytest.raises(TemplateNotFound):
            render_template("none.html")


def test_what_a_template_exports_can_be_used_from_python(folders: Path, app: Dewar) -> None:
    """A macro is called, a variable is read; what is not there is an AttributeError."""
    (folders / "app" / "templates" / "macros.html").write_text(
        "{% macro hello(name) %}Hello {{ name }}{% endmacro %}{% set answer = 42 %}"
    )
    with app.app_context():
        assert get_template_attribute("macros.html", "hello")("<b>") == "Hello &lt;b&gt;"
        assert get_template_attribute("macros.html", "answer") == 42
        with pytest.raises(AttributeError, match="missing"):
            get_template_attribute("macros.html", "missing")
        with pytest.raises(TemplateNotFound):
            get_template_attribute("none.html", "hello")


def test_a_blueprint_registered_after_the_environment_was_made_counts(folders: Path) -> None:
    """Its templates are found, since blueprints are asked for each time."""
    app = Dewar("late", static_folder=None, template_folder=None)
    assert app.jinja_env.list_templates() == []
    app.register_blueprint(
        Blueprint("shop", "shop", template_folder="templates", root_path=str(folders / "shop"))
    )
    with app.app_context():
        assert render_template("shop.html") == "shop of the shop"

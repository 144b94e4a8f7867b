"""Render Jinja templates with the names of the app. An app that has none does not load Jinja."""

from collections.abc import Iterator
from typing import Any

from jinja2 import Environment as JinjaEnvironment
from jinja2 import Template

from dewar.contexts.current import current, current_request, maybe_current_request
from dewar.contexts.streaming import stream_with_context
from dewar.helpers import get_flashed_messages
from dewar.isolation.proxy import LocalProxy
from dewar.signals import before_render_template, template_rendered
from dewar.template_lookup import TemplatedApp
from dewar.template_names import current_g


class Environment(JinjaEnvironment):
    """A Jinja environment that finds the templates of an app and its blueprints.

    Args:
        app: The app.
        options: The arguments of `jinja2.Environment`.
    """

    def __init__(self, app: TemplatedApp, **options: Any) -> None:
        options.setdefault("loader", app.create_global_jinja_loader())
        super().__init__(**options)
        self.app = app


#: A proxy, because only a template that uses the session may count as having accessed it.
_session: LocalProxy[Any] = LocalProxy(lambda: current_request().session)
_request: LocalProxy[Any] = LocalProxy(lambda: current_request().request)


def make_environment(app: Any) -> JinjaEnvironment:
    """Return the template environment of an app, with its options and globals."""
    options = dict(app.jinja_options)
    options.setdefault("autoescape", app.select_jinja_autoescape)
    if "auto_reload" not in options:
        reload = app.config["TEMPLATES_AUTO_RELOAD"]
        options["auto_reload"] = app.debug if reload is None else reload
    environment: JinjaEnvironment = app.jinja_environment(app, **options)
    environment.globals.update(
        url_for=app.url_for,
        get_flashed_messages=get_flashed_messages,
        config=app.config,
        # Imported templates have no context, so these are proxies.
        request=_request,
        session=_session,
        g=current_g,
    )
    environment.policies["json.dumps_function"] = app.json.dumps
    return environment


def get_template_attribute(template_name: str, attribute: str) -> Any:
    """Return a macro or variable of a template, for use in Python.

    Args:
        template_name: The name of the template.
        attribute: The name of the macro or variable in it.
    """
    return getattr(current().app.jinja_env.get_template(template_name).module, attribute)


def render_template(
    template_name_or_list: str | Template | list[str | Template], **context: Any
) -> str:
    """Render a template and return the text.

    Args:
        template_name_or_list: The name of the template, or several, of which the first that exists
            is rendered.
        context: The variables of the template.
    """
    app = current().app
    return render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: Any) -> str:
    """Render a template given as text, and return the text."""
    app = current().app
    return render(app, app.jinja_env.from_string(source), context)


def stream_template(
    template_name_or_list: str | Template | list[str | Template], **context: Any
) -> Iterator[str]:
    """Return an iterator that renders a template piece by piece, for large pages."""
    app = current().app
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: Any) -> Iterator[str]:
    """Return an iterator that renders a template given as text piece by piece."""
    app = current().app
    return _stream(app, app.jinja_env.from_string(source), context)


def _announce(signal: Any, app: Any, template: Template, context: dict[str, Any]) -> None:
    signal.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def render(app: Any, template: Template, context: dict[str, Any]) -> str:
    """Render a template and send the signals. All templates that are not streamed use this."""
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    text = template.render(context)
    _announce(template_rendered, app, template, context)
    return text


def _stream(app: Any, template: Template, context: dict[str, Any]) -> Iterator[str]:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)

    def pieces() -> Iterator[str]:
        yield from template.generate(context)
        _announce(template_rendered, app, template, context)

    # Outside of a request there is no request context to keep.
    return stream_with_context(pieces()) if maybe_current_request() else pieces()

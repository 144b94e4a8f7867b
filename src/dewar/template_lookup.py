"""Find templates in the app and its blueprints, and explain the search in the log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from logging import Logger
from typing import Any, NamedTuple, Protocol

from jinja2 import BaseLoader, FileSystemLoader, TemplateNotFound
from jinja2 import Environment as JinjaEnvironment

from dewar.contexts.current import maybe_current_request
from dewar.registration.hooks import HookTable

Source = tuple[str, str | None, Callable[[], bool] | None]


class TemplatedApp(Protocol):
    """What templates need from the app."""

    import_name: str
    template_context_processors: HookTable[Callable[..., Any]]

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings, of which ``EXPLAIN_TEMPLATE_LOADING`` is read."""

    @property
    def logger(self) -> Logger:
        """The logger for explanations."""

    @property
    def jinja_loader(self) -> BaseLoader | None:
        """The loader for the app's own templates."""

    def iter_blueprints(self) -> Iterable[Any]:
        """Return the blueprints, each with its own `jinja_loader`."""

    def create_global_jinja_loader(self) -> BaseLoader:
        """Return the loader for all templates."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""


class LookupAttempt(NamedTuple):
    """A search for a template with one loader."""

    owner: Any
    loader: BaseLoader
    found: Source | None


class TemplatesOfAll(BaseLoader):
    """Loads templates from the app, or else from its blueprints.

    Args:
        app: The app.
    """

    def __init__(self, app: TemplatedApp) -> None:
        self.app = app

    def get_source(
        self, environment: JinjaEnvironment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the source of the first template found.

        Raises:
            jinja2.TemplateNotFound: If no loader has the template.
        """
        attempts = []
        explains = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        for owner, loader in _loaders(self.app):
            found = _source(loader, environment, template)
            if found is not None and not explains:
                return found
            attempts.append(LookupAttempt(owner, loader, found))
        if explains:
            self.app.logger.info(explain(template, attempts), extra={"_dewar_has_lines": True})
        for attempt in attempts:
            if attempt.found is not None:
                return attempt.found
        raise TemplateNotFound(template)

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return sorted(
            {name for _, loader in _loaders(self.app) for name in loader.list_templates()}
        )


def _loaders(app: TemplatedApp) -> Iterator[tuple[Any, BaseLoader]]:
    for owner in (app, *app.iter_blueprints()):
        loader = owner.jinja_loader
        if loader is not None:
            yield owner, loader


def _source(loader: BaseLoader, environment: JinjaEnvironment, template: str) -> Source | None:
    try:
        return loader.get_source(environment, template)
    except TemplateNotFound:
        return None


def explain(template: str, attempts: list[LookupAttempt]) -> str:
    """Return a text for the log: the loaders that were tried, and what they found.

    Args:
        template: The name of the template.
        attempts: The attempts, in their order.
    """
    lines = [f"Locating template {template!r}:"]
    for number, attempt in enumerate(attempts, 1):
        lines.append(f"    {number:4}: trying loader of {_describe(attempt.owner)}")
        lines.extend(f"          {line}" for line in _describe_loader(attempt.loader))
        lines.append(f"          -> {_outcome(attempt.found)}")
    found = [attempt for attempt in attempts if attempt.found is not None]
    if not found:
        lines.append("Error: the template could not be found.")
    elif len(found) > 1:
        lines.append("Warning: multiple loaders returned a match for the template; the first won.")
    blueprint = _current_blueprint()
    if len(found) != 1 and blueprint is not None:
        lines += [
            f"    The template was looked up from an endpoint that belongs to the blueprint {blueprint!r}.",  # noqa: E501  # one line of the log
            "    Maybe you did not place a template in the right folder?",
            "    See https://flask.palletsprojects.com/blueprints/#templates",
        ]
    return "\n".join(lines)


def _describe(owner: Any) -> str:
    # Only an app has a WSGI interface. The other owners are blueprints.
    if hasattr(owner, "wsgi_app"):
        return f"application {owner.import_name!r}"
    return f"blueprint {owner.name!r} ({owner.import_name})"


def _describe_loader(loader: BaseLoader) -> list[str]:
    lines = [f"class: {type(loader).__module__}.{type(loader).__name__}"]
    if isinstance(loader, FileSystemLoader):
        lines += [f"searchpath: {path}" for path in loader.searchpath]
    return lines


def _outcome(found: Source | None) -> str:
    return "no match" if found is None else f"found ({found[1] or '<string>'!r})"


def _current_blueprint() -> str | None:
    request_context = maybe_current_request()
    name: str | None = None if request_context is None else request_context.request.blueprint
    return name

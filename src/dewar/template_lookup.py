"""Finding templates in the app and its blueprints, and explaining why one was not found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from logging import Logger
from typing import Any, NamedTuple, Protocol

from jinja2 import BaseLoader, FileSystemLoader, TemplateNotFound
from jinja2 import Environment as JinjaEnvironment

from dewar.contexts.current import maybe_current
from dewar.registration.hooks import HookTable

Source = tuple[str, str | None, Callable[[], bool] | None]


class TemplatedApp(Protocol):
    """The members of the app that templates use."""

    import_name: str
    template_context_processors: HookTable[Callable[..., Any]]

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration: ``EXPLAIN_TEMPLATE_LOADING``."""

    @property
    def logger(self) -> Logger:
        """The log of explanations."""

    @property
    def jinja_loader(self) -> BaseLoader | None:
        """The loader for the app's own templates."""

    def iter_blueprints(self) -> Iterable[Any]:
        """Return the blueprints, which have a `jinja_loader` as well."""

    def create_global_jinja_loader(self) -> BaseLoader:
        """Return the loader for all templates."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""


class Lookup(NamedTuple):
    """The result of looking for a template in one loader."""

    owner: Any
    loader: BaseLoader
    found: Source | None


class TemplatesOfAll(BaseLoader):
    """Looks for a template in the app first and then in its blueprints.

    Args:
        app: The app.
    """

    def __init__(self, app: TemplatedApp) -> None:
        self.app = app

    def get_source(
        self, environment: JinjaEnvironment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the first source found.

        Raises:
            jinja2.TemplateNotFound: If no loader has it.
        """
        lookups = []
        explains = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        for owner, loader in self._loaders():
            found = _source(loader, environment, template)
            if found is not None and not explains:
                return found
            lookups.append(Lookup(owner, loader, found))
        if explains:
            self.app.logger.info(explain(template, lookups))
        for lookup in lookups:
            if lookup.found is not None:
                return lookup.found
        raise TemplateNotFound(template)

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return sorted({name for _, loader in self._loaders() for name in loader.list_templates()})

    def _loaders(self) -> Iterator[tuple[Any, BaseLoader]]:
        for owner in (self.app, *self.app.iter_blueprints()):
            loader = owner.jinja_loader
            if loader is not None:
                yield owner, loader


def _source(loader: BaseLoader, environment: JinjaEnvironment, template: str) -> Source | None:
    try:
        return loader.get_source(environment, template)
    except TemplateNotFound:
        return None


def explain(template: str, lookups: list[Lookup]) -> str:
    """Return a log text: the loaders that were asked for a template, and what they had.

    Args:
        template: Its name.
        lookups: The results, in the order of the loaders.
    """
    lines = [f"Locating template {template!r}:"]
    for number, lookup in enumerate(lookups, 1):
        lines.append(f"    {number:4}: trying loader of {_describe(lookup.owner)}")
        lines.extend(f"          {line}" for line in _describe_loader(lookup.loader))
        lines.append(f"          -> {_outcome(lookup.found)}")
    found = [lookup for lookup in lookups if lookup.found is not None]
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
    # An app serves; a blueprint is registered on one.
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
    context = maybe_current()
    carrier = None if context is None else context.request_context
    name: str | None = None if carrier is None else carrier.request.blueprint
    return name

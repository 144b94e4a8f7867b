"""The names that templates have without being given them. It needs no Jinja."""

from typing import TYPE_CHECKING, Any

from dewar.contexts.context import Context
from dewar.contexts.current import current, maybe_current_request
from dewar.isolation.proxy import LocalProxy

if TYPE_CHECKING:
    from dewar.template_lookup import TemplatedApp

#: A proxy for `g`, also for the shell.
current_g: LocalProxy[Any] = LocalProxy(lambda: current().g)


def standard_names() -> dict[str, Any]:
    """Return the names that templates have beside the globals: `g`, and in a request `request`."""
    names = {"g": current().g}
    request_context: Context | None = maybe_current_request()
    if request_context is not None:
        names["request"] = request_context.request
    return names


def update_context(app: "TemplatedApp", names: dict[str, Any]) -> None:
    """Add the names of the context processors, without replacing names that are given."""
    given = names.copy()
    request_context: Context | None = maybe_current_request()
    blueprints = [] if request_context is None else request_context.request.blueprints
    for name in (None, *reversed(blueprints)):
        for processor in app.template_context_processors.get(name, ()):
            names.update(app.ensure_sync(processor)())
    names.update(given)

"""`Plan`: what happens to the requests of one endpoint, composed at setup."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from dewar.errors import DewarError
from dewar.messages.request import split_blueprint_path
from dewar.registration.hooks import HookTable, WatchedDict

__all__ = ["Plan", "PlannedApp", "compose"]

Function = Callable[..., Any]


class MissingViewError(DewarError, KeyError):
    """Raised where a rule matched whose endpoint has no view."""

    def __str__(self) -> str:
        return str(self.args[0])


class PlannedApp(Protocol):
    """The tables that a plan is composed from."""

    view_functions: WatchedDict[str, Function]
    url_value_preprocessors: HookTable[Function]
    before_request_funcs: HookTable[Function]
    after_request_funcs: HookTable[Function]
    teardown_request_funcs: HookTable[Function]

    def ensure_sync(self, func: Function) -> Function:
        """Return a function that can be called without ``await``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The functions that run for an endpoint, in the order in which they run."""

    endpoint: str | None
    preprocessors: tuple[Function, ...]
    before: tuple[Function, ...]
    view: Function
    after: tuple[Function, ...]
    teardown: tuple[Function, ...]


def compose(app: PlannedApp, endpoint: str | None) -> Plan:
    """Return the plan of an endpoint; None stands for a request that matched no rule.

    The app's hooks go before those of the outer and then the inner blueprint on the way in, and
    the other way round, last registered first, on the way out (Flask's order).
    """
    blueprint = endpoint.rpartition(".")[0] if endpoint else ""
    inward = [None, *reversed(split_blueprint_path(blueprint))] if blueprint else [None]
    outward = inward[::-1]
    sync = app.ensure_sync
    return Plan(
        endpoint=endpoint,
        preprocessors=tuple(_functions(app.url_value_preprocessors, inward)),
        before=tuple(map(sync, _functions(app.before_request_funcs, inward))),
        view=_view(app, endpoint),
        after=tuple(map(sync, _functions(app.after_request_funcs, outward, last_first=True))),
        teardown=tuple(map(sync, _functions(app.teardown_request_funcs, outward, last_first=True))),
    )


def _functions(
    table: HookTable[Function],
    names: Iterable[str | None],
    last_first: bool = False,
) -> Iterable[Function]:
    for name in names:
        # get(): composing must not change the table.
        functions = table.get(name, [])
        yield from reversed(functions) if last_first else functions


def _view(app: PlannedApp, endpoint: str | None) -> Function:
    view = app.view_functions.get(endpoint) if endpoint is not None else None
    if view is not None:
        return app.ensure_sync(view)

    def no_view(**_: Any) -> Any:
        raise MissingViewError(
            f"The rule for endpoint {endpoint!r} matched, but the endpoint has no view. Give it"
            f" one: @app.endpoint({endpoint!r}) above the view."
        )

    return no_view

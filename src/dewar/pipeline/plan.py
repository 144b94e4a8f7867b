"""`Plan`: what happens to the requests of one endpoint, composed at setup."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, Protocol

from dewar.errors import DewarError
from dewar.messages.request import split_blueprint_path
from dewar.registration.hooks import HookTable, WatchedDict

Function = Callable[..., Any]


class MissingViewError(DewarError, KeyError):
    """Raised when a rule matched whose endpoint has no view."""

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


class Lane(Enum):
    """The way in which the requests of an endpoint are answered; see `dewar.pipeline.respond`."""

    FAST = "by the plan"
    FULL = "by the app's methods"
    SUSPENDABLE = "by the plan, on the event loop and on threads"


FAST, FULL, SUSPENDABLE = Lane


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which lanes an app has, by the kind of its plans.

    Attributes:
        plain: For plans without coroutine functions.
        coroutine: For plans with coroutine functions.
        has_loose_coroutines: Whether the app has coroutine functions that belong to no endpoint,
            so that all plans are of the second kind.
        may_be_wholly_async: Whether the event loop alone could answer a request whose functions
            are all coroutine functions.
    """

    plain: Lane
    coroutine: Lane
    has_loose_coroutines: bool
    may_be_wholly_async: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The functions that run for an endpoint, in the order in which they run."""

    endpoint: str | None
    preprocessors: tuple[Function, ...]
    before: tuple[Function, ...]
    view: Function
    after: tuple[Function, ...]
    teardown: tuple[Function, ...]
    lane: Lane
    #: The view's first parameter, if its argument may be positional; "" if that is not known.
    first_parameter: str = ""
    #: The same plan with coroutine functions as they were registered, from which those of this
    #: plan are made; None if all functions are synchronous.
    unwrapped: "Plan | None" = None
    #: The ids of the coroutine functions among these.
    coroutines: frozenset[int] = frozenset()
    #: Whether the event loop alone can answer: all functions are coroutine functions.
    is_wholly_async: bool = False


def compose(app: PlannedApp, endpoint: str | None, lanes: Lanes) -> Plan:
    """Return the plan of an endpoint; None stands for a request that matched no rule.

    The app's hooks go before those of the outer and then the inner blueprint on the way in, and
    the other way round, last registered first, on the way out (Flask's order).

    Args:
        app: The app.
        endpoint: The endpoint.
        lanes: The lanes of the app.
    """
    blueprint = endpoint.rpartition(".")[0] if endpoint else ""
    inward = [None, *reversed(split_blueprint_path(blueprint))] if blueprint else [None]
    outward = inward[::-1]
    preprocessors = tuple(_functions(app.url_value_preprocessors, inward))
    before = tuple(_functions(app.before_request_funcs, inward))
    after = tuple(_functions(app.after_request_funcs, outward, last_first=True))
    teardown = tuple(_functions(app.teardown_request_funcs, outward, last_first=True))
    view = _view(app, endpoint)
    functions = (*before, view, *after, *teardown)
    coroutines = frozenset(id(f) for f in functions if iscoroutinefunction(f))
    has_coroutines = bool(coroutines) or lanes.has_loose_coroutines
    lane = lanes.coroutine if has_coroutines else lanes.plain
    unwrapped = Plan(
        endpoint, preprocessors, before, view, after, teardown, lane, coroutines=coroutines
    )
    sync = app.ensure_sync
    are_all_coroutines = not preprocessors and all(id(f) in coroutines for f in functions)
    called = sync(view)
    return Plan(
        endpoint=endpoint,
        preprocessors=preprocessors,
        before=tuple(map(sync, before)),
        view=called,
        after=tuple(map(sync, after)),
        teardown=tuple(map(sync, teardown)),
        lane=lane,
        first_parameter=_first_parameter(called),
        unwrapped=unwrapped if has_coroutines else None,
        is_wholly_async=are_all_coroutines and lanes.may_be_wholly_async,
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


def _first_parameter(view: Function) -> str:
    code = view.__code__ if isinstance(view, FunctionType) else None
    if code is None or not code.co_argcount or code.co_posonlyargcount:
        return ""
    return code.co_varnames[0]


def _view(app: PlannedApp, endpoint: str | None) -> Function:
    view = app.view_functions.get(endpoint) if endpoint is not None else None
    if view is not None:
        return view

    def no_view(**_: Any) -> Any:
        raise MissingViewError(
            f"The rule for endpoint {endpoint!r} matched, but the endpoint has no view. Give it"
            f" one: @app.endpoint({endpoint!r}) above the view."
        )

    return no_view

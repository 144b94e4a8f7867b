"""`Composition`: what is worked out from an app's registrations, until the next registration."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from inspect import iscoroutinefunction
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import Map

from dewar.contexts.context import Context
from dewar.contexts.eager import EagerContext, SplitContext
from dewar.contexts.namespace import AppGlobals
from dewar.messages.environ_attributes import early_attributes
from dewar.messages.request import Request, reads_plainly
from dewar.messages.response import Response
from dewar.messages.sending import has_stock_class
from dewar.pipeline.body_limits import BodyLimits
from dewar.pipeline.plan import FAST, FULL, SUSPENDABLE, Lanes, Plan, PlannedApp, compose
from dewar.registration.error_handlers import ErrorHandlers
from dewar.routing.adapters import has_trusted_hosts
from dewar.routing.index import RouteIndex
from dewar.routing.rules import RouteMap
from dewar.routing.segment_tree import Match
from dewar.sessions.interface import SessionInterface
from dewar.sessions.laziness import may_open_late
from dewar.signals import appcontext_pushed

# The methods that the fast lane does not call. If a subclass or an instance has another one, every
# request takes the full lane.
_STAGES = (
    "dispatch_request",
    "finalize_request",
    "full_dispatch_request",
    "make_response",
    "preprocess_request",
    "process_response",
)
_TABLES = (
    "after_request_funcs",
    "before_request_funcs",
    "teardown_appcontext_funcs",
    "teardown_request_funcs",
    "url_value_preprocessors",
    "view_functions",
)
_TEARDOWNS = ("do_teardown_appcontext", "do_teardown_request")
# The methods that the suspendable lane does not call either.
_UNAWAITED = (
    "app_context",
    "async_to_sync",
    "ensure_sync",
    "handle_exception",
    "handle_http_exception",
    "handle_user_exception",
)
_ENTRANCE = ("__call__", "wsgi_app")
# The methods that could see the routing error of a request that is its own answer.
_FAILURES = ("handle_http_exception", "handle_user_exception", "raise_routing_exception")
# What routing asks a request for, or sets on it. The index makes no request, so it answers only if
# no class of the program has another one.
_ROUTED = (
    "__getattribute__",
    "__init__",
    "__new__",
    "__setattr__",
    "close",
    "environ",
    "host",
    "method",
    "routing_exception",
    "url_rule",
    "view_args",
)

# Those that a class of requests has, and not only its objects.
_FOUND_ON_CLASS = (
    *(name for name in _ROUTED if hasattr(Request, name)),
    *early_attributes(Request).keys() - {"method"},
)

#: The attributes of an app whose assignment outdates its composition.
SEEN_BY_COMPOSITION = frozenset(
    {
        *_STAGES,
        *_TABLES,
        *_TEARDOWNS,
        *_UNAWAITED,
        *_FAILURES,
        "app_ctx_globals_class",
        "create_url_adapter",
        "request_class",
        "request_context",
        "response_class",
        "session_interface",
        "subdomain_matching",
        "url_map",
    }
)


class ComposedApp(PlannedApp, Protocol):
    """The members of the app that a composition uses."""

    url_map: Map
    subdomain_matching: bool
    request_class: type[Request]
    response_class: type[Response]

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, for ``TRUSTED_HOSTS``."""

    session_interface: SessionInterface
    app_ctx_globals_class: type
    teardown_appcontext_funcs: list[Callable[..., Any]]
    error_handler_spec: ErrorHandlers


class Composition:
    """The route index, the plans, the limits of bodies, the class of requests' contexts.

    Args:
        app: The app.
        stock: The methods that the fast lane stands for, from `stock_methods`.
    """

    __slots__ = (
        "_found",
        "_lanes",
        "body_limits",
        "context_class",
        "early_attributes",
        "has_fast_lane",
        "has_plain_contexts",
        "has_plain_failures",
        "has_plain_requests",
        "has_stock_response",
        "has_stock_teardown",
        "has_teardown",
        "index",
        "plain_request_class",
        "plans",
        "request_class",
    )

    def __init__(self, app: ComposedApp, stock: Mapping[str, object]) -> None:
        are_stock = partial(_are_stock, app, stock)
        self._found = _on_classes(app, stock)
        self.request_class = app.request_class
        #: The same, if its requests may read a body by the shortest way.
        self.plain_request_class = app.request_class if reads_plainly(app.request_class) else None
        #: The plans that were made already, by endpoint.
        self.plans: dict[str | None, Plan] = {}
        self.index = RouteIndex(app.url_map if _can_index(app, stock) else None)
        self.has_stock_response = has_stock_class()
        self.has_fast_lane = (
            app.response_class is Response and self.has_stock_response and are_stock(*_STAGES)
        )
        #: Whether no method of a program sees a routing error if no handler does.
        self.has_plain_failures = self.has_fast_lane and are_stock(*_FAILURES)
        # A request waits on the event loop without its thread only if no subclass's method is
        # passed by.
        is_suspendable = self.has_fast_lane and are_stock(*_TEARDOWNS, *_UNAWAITED)
        self.context_class = _context_class(app, stock)
        #: Whether the context of a request is a new `Context`, and nothing more.
        self.has_plain_contexts = self.context_class is Context and are_stock("request_context")
        #: Whether a request is what `Request` sets on a new object, and nothing more.
        self.has_plain_requests = _has_stock_routing(app.request_class)
        is_plain = self.has_plain_requests
        self.early_attributes = early_attributes(app.request_class) if is_plain else {}
        # Only the class's methods: middleware on the instance is asked itself.
        is_entrance_stock = all(getattr(type(app), name) is stock[name] for name in _ENTRANCE)
        self._lanes = Lanes(
            plain=FAST if self.has_fast_lane else FULL,
            coroutine=SUSPENDABLE if is_suspendable else FULL,
            has_loose_coroutines=any(map(iscoroutinefunction, _of_no_endpoint(app))),
            may_be_wholly_async=is_suspendable
            and self.has_plain_contexts
            and is_entrance_stock
            and all(map(iscoroutinefunction, app.teardown_appcontext_funcs)),
        )
        is_foreseeable = is_entrance_stock and are_stock("create_url_adapter", "request_context")
        self.body_limits = BodyLimits(app.url_map if is_foreseeable else None)
        self.has_stock_teardown = are_stock(*_TEARDOWNS)
        self.has_teardown = (
            bool(app.teardown_appcontext_funcs)
            or any(app.teardown_request_funcs.values())
            or not self.has_stock_teardown
        )

    def is_current(self, app: ComposedApp, stock: Mapping[str, object]) -> bool:
        """Whether the classes of the app and its parts have the methods that they had before.

        An app notices what is set on itself. Tests replace methods on classes, too.
        """
        return self._found == _on_classes(app, stock)

    def match_wholly_async(
        self, app: ComposedApp, environ: WSGIEnvironment
    ) -> tuple[Match, Plan] | None:
        """Return the match and the unwrapped plan of a request, if no function in it may block."""
        if not self._lanes.may_be_wholly_async or appcontext_pushed.receivers:
            return None
        found = self.index.match(environ)
        if found is None or has_trusted_hosts(app.config, app.request_class):
            return None
        plan = self.plan_for(app, found[0].endpoint)
        return (found, plan.unwrapped) if plan.unwrapped and plan.is_wholly_async else None

    def plan_for(self, app: PlannedApp, endpoint: str | None) -> Plan:
        """Return the plan of an endpoint; None stands for no matching rule."""
        # The app is an argument, because a reference to it would keep an unused app alive.
        plan = self.plans.get(endpoint)
        if plan is None:
            # Two threads may both compose it: the plans are equal, and either may stay.
            plan = self.plans[endpoint] = compose(app, endpoint, self._lanes)
        return plan


def _can_index(app: ComposedApp, stock: Mapping[str, object]) -> bool:
    """Whether the index matches as the app's map does."""
    return (
        # Not a subclass: it may bind and match in its own way.
        type(app.url_map) is RouteMap
        and not vars(app.url_map).keys() & {"bind", "bind_to_environ"}
        # The index does not look at the host.
        and not app.subdomain_matching
        and _are_stock(app, stock, "create_url_adapter")
        and _has_stock_routing(app.request_class)
    )


def _of_no_endpoint(app: ComposedApp) -> Iterator[Callable[..., Any]]:
    """Yield the functions that may be called for any endpoint."""
    yield from app.teardown_appcontext_funcs
    for by_code in app.error_handler_spec.values():
        for by_class in by_code.values():
            yield from by_class.values()


def _context_class(app: ComposedApp, stock: Mapping[str, object]) -> type[Context]:
    """Return the class of the contexts of requests."""
    if not _are_stock(app, stock, "app_context"):
        return SplitContext
    is_lazy = (
        may_open_late(app.session_interface)
        and app.app_ctx_globals_class is AppGlobals
        and _has_stock_routing(app.request_class)
    )
    return Context if is_lazy else EagerContext


def stock_methods(cls: type) -> Mapping[str, object]:
    """Return the methods of a class that matter to a composition, as they are now.

    They are taken when the class is made, because tracing tools replace methods on the class
    itself, and their replacements have to be called.
    """
    names = (
        *_STAGES,
        *_TEARDOWNS,
        *_UNAWAITED,
        *_ENTRANCE,
        *_FAILURES,
        "create_url_adapter",
        "request_context",
    )
    return MappingProxyType({name: getattr(cls, name) for name in names})


def _on_classes(app: ComposedApp, stock: Mapping[str, object]) -> tuple[object, ...]:
    """Return what a composition finds on classes, and on the session interface."""
    # PERF: the test client asks before each request, and this takes some microseconds.
    return (
        attrgetter(*stock)(type(app)),
        may_open_late(app.session_interface),
        _maybe(_FOUND_ON_CLASS, app.request_class),
        reads_plainly(app.request_class),
        has_stock_class(),
    )


def _maybe(names: Iterable[str], owner: object) -> object:
    try:
        return attrgetter(*names)(owner)
    except AttributeError:
        return None  # of a program that has only what it uses


def _has_stock_routing(request_class: type) -> bool:
    """Whether a class of requests has nothing of its own that routing would call."""
    return all(
        getattr(request_class, name, None) is getattr(Request, name, None) for name in _ROUTED
    )


def _are_stock(app: object, stock: Mapping[str, object], *names: str) -> bool:
    """Whether an app has the methods of `stock_methods`, and no others."""
    own, cls = vars(app), type(app)
    return all(name not in own and getattr(cls, name) is stock[name] for name in names)

"""`RequestMethods`: the stages of a request as methods, which a subclass of the app may override.

Each is one step into the file that does the work. If a stage is overridden, every request goes
through it: see `dewar.pipeline.composition`.
"""

import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, NoReturn

from werkzeug.exceptions import HTTPException

from dewar.contexts.current import current_request, maybe_current_request
from dewar.loop.from_thread import to_sync
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.pipeline import failures, return_values, stages, teardown
from dewar.pipeline.interface import PipelineApp
from dewar.registration.origins import Origins

_UNGIVEN: Any = object()


class RequestMethods:
    """What happens to a request, stage by stage, in the order in which it happens."""

    _got_first_request: bool = False

    def full_dispatch_request(self: PipelineApp) -> Response:
        """Take the current request from its hooks to its response."""
        self._got_first_request = True
        return stages.full_dispatch(self)

    def preprocess_request(self: PipelineApp) -> Any:
        """Run the functions before the view; return the first answer, or None."""
        context = current_request()
        return stages.preprocess(stages.plan_of(self, context), context)

    def dispatch_request(self: PipelineApp) -> Any:
        """Return what the view of the current request returns."""
        context = current_request()
        return stages.dispatch(self, stages.plan_of(self, context), context)

    def raise_routing_exception(self: PipelineApp, request: Request) -> NoReturn:
        """Raise the routing error of a request."""
        failures.raise_routing_failure(self, request)

    def make_default_options_response(self: PipelineApp) -> Response:
        """Return the automatic answer to OPTIONS: the methods that are allowed."""
        response = self.response_class()
        adapter = current_request().url_adapter
        response.allow.update(adapter.allowed_methods())
        return response

    def make_response(self: PipelineApp, rv: Any) -> Response:
        """Return the response for what a view returned; see `dewar.pipeline.return_values`."""
        return return_values.make_response(self, rv, maybe_current_request())

    def finalize_request(self: PipelineApp, rv: Any, from_error_handler: bool = False) -> Response:
        """Make a response of a returned value and run the functions after the view."""
        return stages.finalize(self, rv, from_error_handler)

    def process_response(self: PipelineApp, response: Response) -> Response:
        """Run the `after_request` functions and save the session."""
        return stages.process_response(self, current_request(), response)

    def do_teardown_request(self: PipelineApp, exc: BaseException | None = _UNGIVEN) -> None:
        """Run the teardown functions of the current request."""
        error = sys.exc_info()[1] if exc is _UNGIVEN else exc
        functions = stages.plan_of(self, current_request()).teardown
        teardown.tear_down_request(self, functions, error)

    def do_teardown_appcontext(self: PipelineApp, exc: BaseException | None = _UNGIVEN) -> None:
        """Run the teardown functions of the current app context."""
        teardown.tear_down_app_context(self, sys.exc_info()[1] if exc is _UNGIVEN else exc)

    def handle_user_exception(self: PipelineApp, e: Exception) -> Any:
        """Return the answer to an error that a view or a hook raised, or raise it."""
        return failures.answer_user_error(self, current_request(), e)

    def handle_http_exception(self: PipelineApp, e: HTTPException) -> Any:
        """Return the answer to an HTTP error: its handler's, or the error itself."""
        return failures.answer_http_error(self, current_request(), e)

    def handle_exception(self: PipelineApp, e: Exception) -> Response:
        """Log an error that nothing handled and return a 500, or raise it in debug mode."""
        return failures.answer_failure(self, current_request(), e)

    def _dewar_open_websocket(self: PipelineApp, origins: Origins | None) -> Any:
        """Return an `OpeningWebSocket` for the current request."""
        # Here, because most apps have no WebSockets.
        from dewar.pipeline.websockets import OpeningWebSocket

        return OpeningWebSocket(self, current_request(), origins)

    def ensure_sync(self: PipelineApp, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""
        return self.async_to_sync(func) if iscoroutinefunction(func) else func

    def async_to_sync(self: PipelineApp, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that runs a coroutine function to its end."""
        return to_sync(func)

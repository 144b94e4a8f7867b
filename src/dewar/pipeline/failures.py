"""The answer to an error: that of a handler, the error's own page, or a 500."""

from collections.abc import Callable
from typing import Any, NoReturn

from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import RequestRedirect, RoutingException

from dewar.contexts.context import Context
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.pipeline.interface import PipelineApp
from dewar.routing.errors import FormDataRoutingRedirect
from dewar.signals import got_request_exception
from dewar.websocket.errors import WebSocketClosedError

Handler = Callable[[Any], Any]


def raise_routing_failure(app: PipelineApp, request: Request) -> NoReturn:
    """Raise the routing error of a request.

    In debug mode that is a `FormDataRoutingRedirect` if a redirect would lose a form.
    """
    error = request.routing_exception
    if error is None:
        raise LookupError("The request has no routing error.")
    if (
        app.debug
        and isinstance(error, RequestRedirect)
        # 307 and 308 have the client repeat the request as it was (RFC 9110 §15.4).
        and error.code not in {307, 308}
        and request.method not in {"GET", "HEAD", "OPTIONS"}
    ):
        raise FormDataRoutingRedirect(request, error)
    raise error


def is_own_answer(app: PipelineApp, context: Context, error: Exception) -> bool:
    """Whether the routing error of a request becomes its answer, without a handler."""
    return (
        isinstance(error, HTTPException)
        and app._dewar_composition.has_plain_failures
        and context._dewar_switched is None
        # Both may become another error.
        and not isinstance(error, BadRequestKeyError)
        and not (app.debug and isinstance(error, RequestRedirect))
        and not app.trap_http_exception(error)
        and _http_handler(app, context, error) is None
    )


def answer_user_error(app: PipelineApp, context: Context, error: Exception) -> Any:
    """Return the answer to an error that a view or a hook raised.

    Raises:
        Exception: The error itself, if nothing handles it.
    """
    _raise_if_switched(context, error)
    _show_key(app, error)
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        return app.handle_http_exception(error)
    handler = _handler(app, context, error)
    if handler is None:
        raise error
    return app.ensure_sync(handler)(error)


def answer_http_error(app: PipelineApp, context: Context, error: HTTPException) -> Any:
    """Return the answer of the handler for an HTTP error, or the error, which is a response."""
    handler = _http_handler(app, context, error)
    return error if handler is None else app.ensure_sync(handler)(error)


def handler_of(app: PipelineApp, context: Context, error: Exception) -> Handler | None:
    """Return the handler of an error that a view or a hook raised; None if the error is an answer.

    Raises:
        Exception: The error itself, if nothing handles it.
    """
    _raise_if_switched(context, error)
    _show_key(app, error)
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        return _http_handler(app, context, error)
    handler = _handler(app, context, error)
    if handler is None:
        raise error
    return handler


def answer_failure(app: PipelineApp, context: Context, error: Exception) -> Response:
    """Return the 500 for an error that nothing handled, after logging it.

    Raises:
        Exception: The error itself, if errors propagate (debug mode, tests).
    """
    answer, handler = report_failure(app, context, error)
    answer = answer if handler is None else app.ensure_sync(handler)(answer)
    return app.finalize_request(answer, from_error_handler=True)


def report_failure(
    app: PipelineApp, context: Context, error: Exception
) -> tuple[Any, Handler | None]:
    """Send the signal for an error that nothing handled, and log it.

    Returns:
        The 500 that stands for it, and the handler of that. If a WebSocket was accepted, its 101
        and None.

    Raises:
        Exception: The error itself, if errors propagate (debug mode, tests).
    """
    if context._dewar_switched is not None and maybe_closure(error) is not None:
        return context._dewar_switched, None
    got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    if propagate is None:
        propagate = app.testing or app.debug
    if propagate:
        for item in context._dewar_background_work or ():
            item.discard()
        raise error
    app.log_exception((type(error), error, error.__traceback__))
    if context._dewar_switched is not None:
        return context._dewar_switched, None
    server_error = InternalServerError(original_exception=error)
    return server_error, _handler(app, context, server_error)


def traps(app: PipelineApp, error: Exception) -> bool:
    """Whether an HTTP error is treated like any other error."""
    if app.config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    trap_bad_request = app.config["TRAP_BAD_REQUEST_ERRORS"]
    if trap_bad_request is None and app.debug and isinstance(error, BadRequestKeyError):
        return True
    return bool(trap_bad_request) and getattr(error, "code", None) == 400


def maybe_closure(error: BaseException) -> WebSocketClosedError | None:
    """Return the closing of a WebSocket, if an error says nothing else; it is no fault of the app.

    Args:
        error: The error; several tasks of a group may all have met the same closing.
    """
    if isinstance(error, BaseExceptionGroup):
        closed, rest = error.split(WebSocketClosedError)
        if closed is None or rest is not None:
            return None
        return maybe_closure(closed.exceptions[0])
    return error if isinstance(error, WebSocketClosedError) else None


def _raise_if_switched(context: Context, error: Exception) -> None:
    """Raise an error of a WebSocket that was accepted: no handler can answer it any more."""
    if context._dewar_switched is not None:
        raise error


def _show_key(app: PipelineApp, error: Exception) -> None:
    """Have the answer name the missing key of a form, for the developer."""
    if isinstance(error, BadRequestKeyError) and (
        app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]
    ):
        error.show_exception = True


def _http_handler(app: PipelineApp, context: Context, error: HTTPException) -> Handler | None:
    # An error without a status and a redirect by the router are answers already.
    if error.code is None or isinstance(error, RoutingException):
        return None
    return _handler(app, context, error)


def _handler(app: PipelineApp, context: Context, error: Exception) -> Handler | None:
    rule = context._dewar_url_rule
    # No request object is made just to ask for its blueprints.
    blueprints = context.request.blueprints if rule is not None and "." in rule.endpoint else ()
    return app._find_error_handler(error, blueprints)

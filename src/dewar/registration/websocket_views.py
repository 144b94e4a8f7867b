"""`websocket_view`: what stands in an app's table of views for the view of a WebSocket."""

from collections.abc import Callable, Collection
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from dewar.contexts.current import current_request
from dewar.errors import DewarError
from dewar.registration.origins import Origins
from dewar.websocket.library import check_library

_MARK = "_dewar_websocket"


class WebSocketViewError(DewarError, TypeError):
    """Raised for a WebSocket without a rule, with methods, or with a view of the wrong kind."""


def check_rule(rule: object) -> None:
    """Find a decorator without its parentheses, which would register nothing.

    Raises:
        WebSocketViewError: If *rule* is no text.
    """
    if not isinstance(rule, str):
        name = getattr(rule, "__name__", "chat")
        raise WebSocketViewError(
            f"A WebSocket needs a rule, and not {rule!r}. Write: @app.websocket('/{name}')."
        )


def add_websocket_rule(
    add_url_rule: Callable[..., None],
    rule: str,
    view: Callable[..., Any],
    origins: Collection[str] | None,
    options: dict[str, Any],
) -> None:
    """Register the view of a WebSocket.

    Args:
        add_url_rule: That of the app or the blueprint.
        rule: The URL rule.
        view: A coroutine function; its first argument is the `dewar.WebSocket`.
        origins: The origins whose pages may connect; None for those of the configuration.
        options: The options of the route.

    Raises:
        WebSocketViewError: If *view* is no coroutine function, or methods are given.
        OriginError: If *origins* has something that is no origin.
    """
    if "methods" in options:
        raise WebSocketViewError(
            f"The WebSocket {rule!r} has methods={options['methods']!r}, but the request that"
            f" opens a WebSocket is always a GET. Write: @app.websocket({rule!r})."
        )
    options = {"provide_automatic_options": False, **options}
    endpoint = options.pop("endpoint", None)
    allowed = None if origins is None else Origins(origins, "origins")
    connect = websocket_view(view, rule, allowed)
    add_url_rule(rule, endpoint, connect, methods=["GET"], websocket=True, **options)


def websocket_view(
    view: Callable[..., Any], rule: str, origins: Origins | None
) -> Callable[..., Any]:
    """Return a view function that calls *view* with the WebSocket of the current request.

    It is a view like any other, so that hooks, error handlers and wrappers around it work as they
    do around HTTP views.

    Args:
        view: A coroutine function; its first argument is the `dewar.WebSocket`.
        rule: The URL rule, for errors.
        origins: The origins whose pages may connect; None for those of the configuration.

    Raises:
        WebSocketViewError: If *view* is no coroutine function.
        WebSocketLibraryError: If the library for WebSockets is not installed.
    """
    if not iscoroutinefunction(view):
        name = getattr(view, "__name__", repr(view))
        raise WebSocketViewError(
            f"The view {name!r} of the WebSocket {rule!r} is not a coroutine function. It runs on"
            f" the event loop as long as the connection is open. Write: async def {name}(ws): ..."
            " If a decorator between the route and the view returns a plain function, put it above"
            " the route, or make it return a coroutine function."
        )

    check_library()

    @wraps(view)
    async def connect(**values: Any) -> Any:
        opening = current_request().app._dewar_open_websocket(origins)  # noqa: SLF001  # a stage
        try:
            returned = await view(opening.websocket, **values)
        except BaseException as error:  # noqa: BLE001  # raised again, or a normal end
            return await opening.fail(error)
        return await opening.end(returned)

    setattr(connect, _MARK, True)
    return connect


def is_websocket_view(view: Callable[..., Any]) -> bool:
    """Whether a view function was made by `websocket_view`."""
    return hasattr(view, _MARK)

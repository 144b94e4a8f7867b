"""A WebSocket in the life of a request, from the handshake to the close.

Until the view accepts it, the request is like any other: a hook, the view and the handlers of
errors may answer it with HTTP. When the view accepts, the 101 goes through the functions after the
view and the session is saved into it; its header fields are sent with the handshake. From then on
no other response can be sent: an error closes the WebSocket, and is reported as any other.
"""

import asyncio
from functools import partial
from typing import Any
from wsgiref.util import is_hop_by_hop

from werkzeug.exceptions import BadRequest, Forbidden
from werkzeug.exceptions import NotImplemented as NotImplementedHere
from werkzeug.wsgi import get_host

from dewar.contexts.context import Context
from dewar.loop.process_loop import process_loop
from dewar.loop.task_scope import current_scope
from dewar.messages.environ_headers import EnvironHeaders
from dewar.messages.switched_response import SwitchedResponse
from dewar.pipeline.failures import maybe_closure
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.lanes.fast import wants_response
from dewar.pipeline.stages import plan_of
from dewar.registration.origins import Origins
from dewar.registration.websocket_config import WebSocketConfig
from dewar.signals import request_finished
from dewar.websocket.acceptance import RESERVED
from dewar.websocket.errors import HandshakeError
from dewar.websocket.opening import Upgrade
from dewar.websocket.opening_handshake import OpeningHandshake, read_handshake
from dewar.websocket.socket_upgrade import maybe_upgrade
from dewar.websocket.websocket import WebSocket

Header = tuple[str, str]

# Both are logged with a bound, because any client can cause them.
_OTHER_ORIGIN = (
    "A page of %r may not open the WebSocket %r of %r. If it may, write:"
    " app.config['WEBSOCKET_ORIGINS'] = [%r]. If %r is not what the client sees, have the server"
    " trust the proxy in front: dewar run --trusted-hosts."
)
_NO_SOCKET = (
    "The server (%s) gives the app no socket, which the WebSocket %r needs. Serve the app with:"
    " dewar run, or gunicorn --worker-class gthread."
)


class HandshakeRefused(BadRequest):
    """The answer to a request that opens no WebSocket: 400, or 426 for another version."""

    def __init__(self, error: HandshakeError) -> None:
        super().__init__(str(error))
        self.code = error.status
        # PEP 3333 has the others sent by servers only.
        self._fields = [field for field in error.headers if not is_hop_by_hop(field[0])]

    def get_headers(self, *args: Any, **kwargs: Any) -> list[Header]:
        """Return the header fields of the answer."""
        return [*super().get_headers(*args, **kwargs), *self._fields]


class OpeningWebSocket:
    """A request for a WebSocket whose view is running.

    Args:
        app: The app.
        context: The context of the request.
        origins: The origins whose pages may connect; None for those of the configuration.

    Raises:
        HTTPException: If the request opens no WebSocket, or may not.

    Attributes:
        websocket: What the view is called with.
    """

    __slots__ = ("_context", "websocket")

    def __init__(self, app: PipelineApp, context: Context, origins: Origins | None) -> None:
        self._context = context
        self.websocket = _make_websocket(app, context, origins)

    def __repr__(self) -> str:
        return f"<OpeningWebSocket {self.websocket!r} of {self._context!r}>"

    async def end(self, returned: Any) -> Any:
        """Return the answer to the request when the view has returned.

        It is what the view returned, or a `SwitchedResponse` if the view accepted.
        """
        self.websocket.note_end()
        return await self._close(None) if self.websocket.is_accepted else returned

    async def fail(self, error: BaseException) -> Any:
        """Return the answer to the request when the view has raised an error.

        Raises:
            BaseException: The error, unless it says that an accepted WebSocket was closed normally.
        """
        if self.websocket.note_end() and isinstance(error, asyncio.CancelledError):
            error = self.websocket.closed_error()
        if not self.websocket.is_accepted:
            raise error
        switched = await self._close(error)
        closure = maybe_closure(error)
        if closure is None or not closure.is_normal:
            raise error
        return switched

    async def _close(self, error: BaseException | None) -> SwitchedResponse:
        """Close what the view has left open."""
        switched = self._context._dewar_switched = SwitchedResponse()
        scope = current_scope.get()
        if scope:
            # The tasks that the view has left behind would write to a closed WebSocket.
            await scope.end(is_cut_off=True)
        await self.websocket.finish(None if error is None or maybe_closure(error) else error)
        return switched


def _make_websocket(app: PipelineApp, context: Context, origins: Origins | None) -> WebSocket:
    # PERF: thousands may be open. None of them keeps what only the handshake needs.
    config = WebSocketConfig.of(app.config)
    handshake = _checked_handshake(app, context, config.origins if origins is None else origins)
    upgrade = _upgrade(app, context)
    fields = partial(_fields_of_101, app, context)
    task = asyncio.current_task()
    return WebSocket(handshake, upgrade, config.settings, fields, app.json, task)


async def _fields_of_101(app: PipelineApp, context: Context) -> list[Header]:
    """Return the header fields of the 101, after the functions after the view."""
    plan = plan_of(app, context)
    if not wants_response(app, plan, context):
        return []
    may_block = (
        plan.after
        or context._dewar_after_functions
        or request_finished.receivers
        or type(context) is not Context  # the session interface may have a store to ask
        or not app._dewar_composition.has_fast_lane
    )
    response = app.response_class(status=101)
    # A loop for this request alone is on a thread of its own, which may block.
    if may_block and process_loop.is_here():
        response = await asyncio.to_thread(app.finalize_request, response)
    else:
        response = app.finalize_request(response)
    _forget_parsed(context)
    fields = response.headers.to_wsgi_list()
    return [field for field in fields if field[0].lower() not in RESERVED]


def _forget_parsed(context: Context) -> None:
    """Let go of what was mostly parsed for the session. It can be parsed again."""
    request, context._dewar_asked = context._dewar_request, None
    if request is None:
        return
    kept = vars(request)
    cookies = kept.pop("cookies", None)
    if cookies is not None and request.cookies != cookies:  # the program has put others there
        kept["cookies"] = cookies
    else:
        kept.pop("cookies", None)
    if type(kept.get("headers")) is EnvironHeaders:
        del kept["headers"]


def _checked_handshake(app: PipelineApp, context: Context, origins: Origins) -> OpeningHandshake:
    """Return what a client asks for.

    Raises:
        HTTPException: If the request opens no WebSocket, or is made by a page of another origin.
    """
    environ: Any = context._dewar_environ
    try:
        handshake = read_handshake(environ)
    except HandshakeError as error:
        raise HandshakeRefused(error) from error
    # Programs send no Origin; browsers always do (RFC 6455 §10.2).
    if handshake.origin is not None:
        _check_origin(app, context, handshake.origin, origins)
    return handshake


def _check_origin(app: PipelineApp, context: Context, origin: str, origins: Origins) -> None:
    environ: Any = context._dewar_environ
    path = environ.get("PATH_INFO", "")
    own = f"{environ['wsgi.url_scheme']}://{get_host(environ)}"
    if origins.allow(origin, own):
        return
    app._dewar_bounded_log.warn(_OTHER_ORIGIN, origin, path, own, origin, own)
    raise Forbidden(_OTHER_ORIGIN % (origin, path, own, origin, own) if app.debug else None)


def _upgrade(app: PipelineApp, context: Context) -> Upgrade:
    """Return the function that takes the connection over from the server.

    Raises:
        NotImplementedHere: If the server has none to give.
    """
    environ: Any = context._dewar_environ
    upgrade = maybe_upgrade(environ)
    if upgrade is None:
        values = environ.get("SERVER_SOFTWARE") or "unknown", context.request.path
        app._dewar_bounded_log.warn(_NO_SOCKET, *values)
        raise NotImplementedHere(_NO_SOCKET % values if app.debug else None)
    return upgrade

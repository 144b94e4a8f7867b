"""A WSGI application that sends each message of a WebSocket back, on Dewar's event loop."""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse

from dewar.loop.suspended import ON_LOOP, Suspended, begin
from dewar.websocket.opening_handshake import read_handshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.socket_upgrade import maybe_upgrade
from dewar.websocket.websocket import WebSocket

_SETTINGS = WebSocketSettings()


class Echo:
    """Opens a WebSocket on every path, without a framework."""

    def __call__(self, _environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that is no handshake."""
        start_response("200 OK", [("Content-Length", "13")])
        return [b"Hello, World!"]

    def begin_on_loop(self, environ: dict[str, Any], _start_response: object) -> object:
        """Return the work on a handshake; None for other requests."""
        if maybe_upgrade(environ) is None:
            return None
        answer = begin(_serve(environ), is_wholly_async=True)
        return answer if isinstance(answer, Suspended) else None


async def _serve(environ: dict[str, Any]) -> Iterable[bytes]:
    await ON_LOOP
    upgrade = maybe_upgrade(environ)
    if upgrade is not None:
        ws = WebSocket(read_handshake(environ), upgrade, _SETTINGS, _no_headers)
        async for message in ws:
            await ws.send(message)
        await ws.finish(None)
    return ()


async def _no_headers() -> list[tuple[str, str]]:
    return []


app = Echo()

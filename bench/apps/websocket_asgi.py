"""An ASGI application that sends each message of a WebSocket back."""

from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Accept a WebSocket, and send back what comes until it is closed."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello, World!"})
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})

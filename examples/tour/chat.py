"""A chat over WebSockets: each message goes to every browser that has the page open."""

import asyncio
from typing import Any

from dewar import WebSocket, WebSocketClosedError, current_app, g, render_template
from examples.tour.application import app

LONGEST = 280
# How many seconds a browser may take for a message before the others go on without it.
_PATIENCE = 5.0

# The open WebSockets of this process. Only the event loop uses them, so they need no lock.
app.extensions["chatting"] = set()


@app.get("/chat")
def chat() -> str:
    """Show the page that opens the WebSocket."""
    return render_template("chat.html", longest=LONGEST)


@app.websocket("/api/chat")
async def talk(ws: WebSocket) -> None:
    """Pass the messages of each browser on to all."""
    await ws.accept()
    chatting = current_app.extensions["chatting"]
    chatting.add(ws)
    try:
        await tell_all({"by": "the server", "text": f"Browsers here: {len(chatting)}."})
        async for message in ws:
            await tell_all({"by": g.request_id, "text": str(message)[:LONGEST]})
    finally:
        chatting.discard(ws)


async def tell_all(message: dict[str, Any]) -> None:
    """Send a message to all browsers at once."""
    chatting = list(current_app.extensions["chatting"])
    await asyncio.gather(*(_tell(ws, message) for ws in chatting))


async def _tell(ws: WebSocket, message: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await ws.send_json(message)
    except (WebSocketClosedError, TimeoutError):
        current_app.extensions["chatting"].discard(ws)

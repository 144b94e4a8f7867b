"""The tiny application in Dewar with coroutine views, one of which waits for a second."""

import asyncio

from dewar import Dewar, g

app = Dewar(__name__)

SLEEP_SECONDS = 1.0


@app.get("/")
async def hello() -> str:
    """Greet."""
    return "Hello, World!"


@app.get("/sleep/<int:number>")
async def sleep(number: int) -> str:
    """Wait, and return the number that this request stored before."""
    g.number = number
    await asyncio.sleep(SLEEP_SECONDS)
    return str(g.number)


@app.get("/beside")
def beside() -> str:
    """Greet from a thread."""
    return "Hello, World!"

"""The application of `async_app` in Quart, which is Flask on ASGI."""

import asyncio

# mypy: allow-untyped-decorators
from quart import Quart, g

from bench.apps.async_app import SLEEP_SECONDS

app = Quart(__name__)


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

"""The tiny application in Dewar with coroutine views, one of which waits for a second."""

import asyncio

from dewar import Dewar, g

app = Dewar(__name__)

SLEEP_SECONDS = 1.0
_gate = asyncio.Event()
_waiting: set[int] = set()


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


@app.get("/wait/<int:number>")
async def wait(number: int) -> str:
    """Wait until somebody opens the gate, and return the number."""
    _waiting.add(number)
    await _gate.wait()
    _waiting.discard(number)
    return str(number)


@app.get("/waiting")
async def waiting() -> str:
    """Return how many wait."""
    return str(len(_waiting))


@app.get("/open")
async def open_gate() -> str:
    """Have all go on that wait."""
    _gate.set()
    _gate.clear()
    return "open"

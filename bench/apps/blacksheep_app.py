"""The tiny application in BlackSheep."""

# mypy: allow-untyped-decorators
from blacksheep import Application, Request, Response, get, text

app = Application()


@get("/")
async def hello() -> Response:
    """Greet."""
    return text("Hello, World!")


@get("/user/{int:number}")
async def user(request: Request, number: int, q: str) -> Response:
    """Name the user, the method and the query."""
    return text(f"{number} {request.method} {q}")

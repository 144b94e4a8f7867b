"""The tiny application in Sanic."""

# mypy: allow-untyped-decorators
from sanic import HTTPResponse, Request, Sanic, text

app = Sanic("bench")


@app.get("/")
async def hello(_request: Request) -> HTTPResponse:
    """Greet."""
    return text("Hello, World!")


@app.get("/user/<number:int>")
async def user(request: Request, number: int) -> HTTPResponse:
    """Name the user, the method and the query."""
    return text(f"{number} {request.method} {request.args.get('q')}")

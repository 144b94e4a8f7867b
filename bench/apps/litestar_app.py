"""The tiny application in Litestar."""

# mypy: allow-untyped-decorators
from litestar import Litestar, MediaType, Request, get


@get("/", media_type=MediaType.TEXT)
async def hello() -> str:
    """Greet."""
    return "Hello, World!"


@get("/user/{number:int}", media_type=MediaType.TEXT)
async def user(number: int, request: Request, q: str | None = None) -> str:
    """Name the user, the method and the query."""
    return f"{number} {request.method} {q}"


app = Litestar(route_handlers=[hello, user], openapi_config=None)

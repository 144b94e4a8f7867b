"""The tiny application in FastAPI, with the responses that it documents as the fastest."""

# mypy: allow-untyped-decorators
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI(default_response_class=PlainTextResponse)


@app.get("/")
async def hello() -> PlainTextResponse:
    """Greet."""
    return PlainTextResponse("Hello, World!")


@app.get("/user/{number}")
async def user(number: int, request: Request, q: str | None = None) -> PlainTextResponse:
    """Name the user, the method and the query."""
    return PlainTextResponse(f"{number} {request.method} {q}")

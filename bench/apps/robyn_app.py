"""The tiny application in Robyn, which starts itself: its address is in the environment."""

# mypy: allow-untyped-decorators
from robyn import Request, Robyn

app = Robyn(__file__)


@app.get("/")
async def hello() -> str:
    """Greet."""
    return "Hello, World!"


@app.get("/user/:number")
async def user(request: Request) -> str:
    """Name the user, the method and the query."""
    number = int(request.path_params["number"])
    return f"{number} {request.method} {request.query_params.get('q', None)}"


if __name__ == "__main__":
    app.start()

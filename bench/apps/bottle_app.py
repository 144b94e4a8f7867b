"""The tiny application in Bottle."""

import bottle

app = bottle.Bottle()


def hello() -> str:
    """Greet."""
    return "Hello, World!"


def message() -> dict[str, str]:
    """Greet in JSON."""
    return {"message": "Hello, World!"}


def user(number: int) -> str:
    """Name the user, the method and the query."""
    return f"{number} {bottle.request.method} {bottle.request.query.get('q')}"


app.route("/", "GET", hello)
app.route("/json", "GET", message)
app.route("/user/<number:int>", "GET", user)

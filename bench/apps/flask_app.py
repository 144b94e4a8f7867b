"""The tiny application in Flask."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Greet."""
    return "Hello, World!"


@app.get("/json")
def message() -> dict[str, str]:
    """Greet in JSON."""
    return {"message": "Hello, World!"}


@app.get("/user/<int:number>")
def user(number: int) -> str:
    """Name the user, the method and the query."""
    return f"{number} {request.method} {request.args.get('q')}"

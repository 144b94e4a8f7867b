"""The time of a request in a framework, without a server.

Runs in the bench venv and prints the µs of every round:
``{"figures": {path: {framework: [µs, …]}}, "failures": {framework: why}}``. The frameworks take
turns. The environs of a turn are created before it, and each response is checked once beforehand.
"""

import argparse
import gc
import importlib
import io
import json
import sys
import time
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]

FRAMEWORKS = {
    "Flask": "bench.apps.flask_app",
    "Bottle": "bench.apps.bottle_app",
    "Falcon": "bench.apps.falcon_app",
    "Dewar": "bench.apps.dewar_app",
}
# Path and query, and the expected response: text, or the value of its JSON.
CASES: dict[tuple[str, str], object] = {
    ("/", ""): "Hello, World!",
    ("/json", ""): {"message": "Hello, World!"},
    ("/user/42", "q=tea"): "42 GET tea",
}


def environ(path: str, query: str) -> WSGIEnvironment:
    """Return a new environ, with the headers that a browser or a proxy sends."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "bench",
        "HTTP_ACCEPT": "*/*",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate",
        "HTTP_CONNECTION": "keep-alive",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


class Capture:
    """A ``start_response`` that stores its arguments."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Any:
        """Store the status and the headers."""
        self.status = status
        self.headers = headers
        return self._write

    def _write(self, _data: bytes) -> None:
        raise RuntimeError("These applications do not call write().")


def consume(body: Iterable[bytes]) -> bytes:
    """Read the body and close it, like a server."""
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def check(app: WSGIApplication, case: tuple[str, str], expected: object) -> Headers:
    """Send a request, check the response, and return its headers, sorted.

    Raises:
        ValueError: If the status or the body is not the expected one.
    """
    capture = Capture()
    body = consume(app(environ(*case), capture))
    found = json.loads(body) if isinstance(expected, dict) else body.decode()
    if capture.status[:3] != "200" or found != expected:
        raise ValueError(f"{case[0]}: {capture.status} {body[:60]!r} instead of {expected!r}")
    return sorted(capture.headers)


def compare(dewar: list[Headers], flask: list[Headers]) -> None:
    """Compare Dewar's headers with Flask's in each case.

    Raises:
        ValueError: If they differ.
    """
    for case, found, expected in zip(CASES, dewar, flask, strict=True):
        if found != expected:
            raise ValueError(f"{case[0]}: headers {found} differ from Flask's {expected}")


def load() -> tuple[dict[str, WSGIApplication], dict[str, str]]:
    """Return the applications with correct responses, and the problems of the others."""
    apps: dict[str, WSGIApplication] = {}
    failures: dict[str, str] = {}
    headers: dict[str, list[Headers]] = {}
    for framework, module in FRAMEWORKS.items():
        try:
            app = importlib.import_module(module).app
            headers[framework] = [check(app, case, due) for case, due in CASES.items()]
            if framework == "Dewar":
                compare(headers["Dewar"], headers.get("Flask", headers["Dewar"]))
        except Exception as error:
            failures[framework] = f"{type(error).__name__}: {error}"
        else:
            apps[framework] = app
    return apps, failures


def turn(app: WSGIApplication, case: tuple[str, str], requests: int) -> float:
    """Return the mean µs of a number of requests."""
    environs = [environ(*case) for _ in range(requests)]
    capture: StartResponse = Capture()
    take = environs.pop
    gc.collect()
    began = time.perf_counter()
    # Popped, not iterated: each environ, and the objects in it, is freed inside the timed part, as
    # in a server.
    while environs:
        consume(app(take(), capture))
    return (time.perf_counter() - began) / requests * 1e6


def measure(rounds: int, requests: int) -> dict[str, Any]:
    """Measure the frameworks in turns and return the figures of all rounds."""
    apps, failures = load()
    figures: dict[str, dict[str, list[float]]] = {}
    for case in CASES:
        name = "?".join(filter(None, case))
        figures[name] = {framework: [] for framework in apps}
        for app in apps.values():
            turn(app, case, requests)
        for _ in range(rounds):
            for framework, app in apps.items():
                figures[name][framework].append(turn(app, case, requests))
    return {"figures": figures, "failures": failures}


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.requests)))


if __name__ == "__main__":
    main()

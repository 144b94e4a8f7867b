"""What one request costs inside the framework, without any server.

Run inside the bench venv; prints the µs of every round:
``{"figures": {path: {framework: [µs, …]}}, "failures": {framework: why}}``. The frameworks take
turns, each turn has environs of its own made beforehand, and every answer is checked first.
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
# Path and query, and the answer that is due: text as it is, JSON by its value.
CASES: dict[tuple[str, str], object] = {
    ("/", ""): "Hello, World!",
    ("/json", ""): {"message": "Hello, World!"},
    ("/user/42", "q=tea"): "42 GET tea",
}


def environ(path: str, query: str) -> WSGIEnvironment:
    """Return a fresh environ, with the headers a browser or a proxy would send."""
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
    """A ``start_response`` that remembers what it was given."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Any:
        """Remember."""
        self.status = status
        self.headers = headers
        return self._write

    def _write(self, _data: bytes) -> None:
        raise RuntimeError("None of these applications writes.")


def consume(body: Iterable[bytes]) -> bytes:
    """Read the body and close it, as a server does."""
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def check(app: WSGIApplication, case: tuple[str, str], expected: object) -> Headers:
    """Ask once and return the headers, sorted.

    Raises:
        ValueError: The status or the body is not what is due.
    """
    capture = Capture()
    body = consume(app(environ(*case), capture))
    found = json.loads(body) if isinstance(expected, dict) else body.decode()
    if capture.status[:3] != "200" or found != expected:
        raise ValueError(f"{case[0]}: {capture.status} {body[:60]!r} instead of {expected!r}")
    return sorted(capture.headers)


def compare(ours: list[Headers], flask: list[Headers]) -> None:
    """Hold our headers, case by case, against Flask's.

    Raises:
        ValueError: They differ.
    """
    for case, mine, its in zip(CASES, ours, flask, strict=True):
        if mine != its:
            raise ValueError(f"{case[0]}: headers {mine} differ from Flask's {its}")


def load() -> tuple[dict[str, WSGIApplication], dict[str, str]]:
    """Return the applications that answer as they should, and why the others do not."""
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
    """Return the mean µs of that many requests."""
    environs = [environ(*case) for _ in range(requests)]
    capture: StartResponse = Capture()
    take = environs.pop
    gc.collect()
    began = time.perf_counter()
    # Popped, not iterated: each environ, and what the framework keeps in it, dies inside the
    # timed part, as it does in a server.
    while environs:
        consume(app(take(), capture))
    return (time.perf_counter() - began) / requests * 1e6


def measure(rounds: int, requests: int) -> dict[str, Any]:
    """Let the frameworks take turns and return every round's figure."""
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
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.requests)))


if __name__ == "__main__":
    main()

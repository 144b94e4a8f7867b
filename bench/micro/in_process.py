"""The time of a request in a framework, without a server.

Runs in the bench venv and prints the µs of every round:
``{"figures": {case: {framework: [µs, …]}}, "failures": {framework: why}}``. The frameworks take
turns. The environs of a turn are created before it, and each response is checked once beforehand.
The suite "parts" has a case for each part of a request that a view may use.
"""

import argparse
import gc
import importlib
import io
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, and the expected response: text, or the value of its JSON.

    Attributes:
        label: The name of the case, by default its path and query.
        fields: What the environ has in addition.
        attribute: The name of the application in the module of the framework.
        without: Frameworks that have no such case.
    """

    path: str
    expected: object
    query: str = ""
    label: str = ""
    method: str = "GET"
    body: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)
    attribute: str = "app"
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name in the output."""
        return self.label or "?".join(filter(None, (self.path, self.query)))

    def environ(self) -> WSGIEnvironment:
        """Return a new environ of this request."""
        made = environ(self.path, self.query)
        made["REQUEST_METHOD"] = self.method
        if self.body:
            made["CONTENT_LENGTH"] = str(len(self.body))
            made["wsgi.input"] = io.BytesIO(self.body)
        return {**made, **self.fields}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Cases, and the module of each framework's applications."""

    frameworks: Mapping[str, str]
    cases: Sequence[Case]


HELLO = "Hello, World!"
BASIC = Suite(
    frameworks={
        "Flask": "bench.apps.flask_app",
        "Bottle": "bench.apps.bottle_app",
        "Falcon": "bench.apps.falcon_app",
        "Dewar": "bench.apps.dewar_app",
    },
    cases=(
        Case(path="/", expected=HELLO),
        Case(path="/json", expected={"message": HELLO}),
        Case(path="/user/42", query="q=tea", expected="42 GET tea"),
    ),
)
_FORM = "application/x-www-form-urlencoded"
PARTS = Suite(
    frameworks={
        "Flask": "bench.apps.parts_flask",
        "Falcon": "bench.apps.parts_falcon",
        "Dewar": "bench.apps.parts_dewar",
    },
    cases=(
        Case(label="args.get, missing", path="/missing", query="a=1", expected="None"),
        Case(label="headers.get", path="/header", fields={"HTTP_X_TEA": "green"}, expected="green"),
        Case(label="cookies.get", path="/cookie", fields={"HTTP_COOKIE": "tea=green"},
             expected="green"),
        Case(label="get_json", path="/json", method="POST", body=b'{"tea": "green"}',
             fields={"CONTENT_TYPE": "application/json"}, expected="green"),
        Case(label="form.get", path="/form", method="POST", body=b"tea=green&milk=no",
             fields={"CONTENT_TYPE": _FORM}, expected="green"),
        Case(label="session, written", path="/session", expected="written", without=("Falcon",)),
        Case(label="3 + 2 hooks, nested blueprint", path="/outer/inner/page", attribute="hooked",
             expected=HELLO),
    ),
)  # fmt: skip
SUITES = {"basic": BASIC, "parts": PARTS}


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


def check(app: WSGIApplication, case: Case) -> Headers:
    """Send a request, check the response, and return its headers, sorted.

    Raises:
        ValueError: If the status or the body is not the expected one.
    """
    capture = Capture()
    body = consume(app(case.environ(), capture))
    found = json.loads(body) if isinstance(case.expected, dict) else body.decode()
    if capture.status[:3] != "200" or found != case.expected:
        said = f"{capture.status} {body[:60]!r}"
        raise ValueError(f"{case.name}: {said} instead of {case.expected!r}")
    return sorted(capture.headers)


def compare(cases: Sequence[Case], dewar: list[Headers], flask: list[Headers]) -> None:
    """Compare Dewar's headers with Flask's in each case.

    Raises:
        ValueError: If they differ.
    """
    for case, found, expected in zip(cases, dewar, flask, strict=True):
        if _stable(found) != _stable(expected):
            raise ValueError(f"{case.name}: headers {found} differ from Flask's {expected}")


def _stable(headers: Headers) -> Headers:
    # A cookie that is signed has the time in it: only its attributes can be compared.
    return [
        (name, value.partition(";")[2] if name == "Set-Cookie" else value)
        for name, value in headers
    ]


Apps = dict[str, dict[str, WSGIApplication]]


def load(suite: Suite) -> tuple[Apps, dict[str, str]]:
    """Return the applications with correct responses by case, and the problems of the others."""
    apps: Apps = {}
    failures: dict[str, str] = {}
    headers: dict[str, list[Headers]] = {}
    for framework, module in suite.frameworks.items():
        cases = [case for case in suite.cases if framework not in case.without]
        try:
            found = importlib.import_module(module)
            its_apps = {case.name: getattr(found, case.attribute) for case in cases}
            headers[framework] = [check(its_apps[case.name], case) for case in cases]
            if framework == "Dewar":
                compare(cases, headers["Dewar"], headers.get("Flask", headers["Dewar"]))
        except Exception as error:
            failures[framework] = f"{type(error).__name__}: {error}"
        else:
            apps[framework] = its_apps
    return apps, failures


def turn(app: WSGIApplication, environs: list[WSGIEnvironment]) -> float:
    """Return the mean µs of a request for each of the environs.

    It is the time of the processor: a request waits for nothing, so other programs on the machine
    do not count.
    """
    capture: StartResponse = Capture()
    take, requests = environs.pop, len(environs)
    gc.collect()
    began = time.process_time()
    # Popped, not iterated: each environ, and the objects in it, is freed inside the timed part, as
    # in a server.
    while environs:
        consume(app(take(), capture))
    return (time.process_time() - began) / requests * 1e6


def measure(suite: Suite, rounds: int, requests: int) -> dict[str, Any]:
    """Measure the frameworks in turns and return the figures of all rounds."""
    apps, failures = load(suite)
    figures: dict[str, dict[str, list[float]]] = {}
    for case in suite.cases:
        running = {name: its[case.name] for name, its in apps.items() if case.name in its}
        figures[case.name] = {framework: [] for framework in running}
        for number in range(rounds + 1):
            for framework, app in running.items():
                took = turn(app, [case.environ() for _ in range(requests)])
                if number:  # the first round only warms up
                    figures[case.name][framework].append(took)
    return {"figures": figures, "failures": failures}


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", choices=SUITES, default="basic")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    print(json.dumps(measure(SUITES[options.suite], options.rounds, options.requests)))


if __name__ == "__main__":
    main()

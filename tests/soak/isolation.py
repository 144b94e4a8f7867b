"""Requests on many threads, in greenlets and in tasks, looking for state that crosses.

``make soak-isolation`` runs the long form: 64 threads with 10,000 requests each. The suite runs a
short one. Each request sets everything that can be set to a name of its own, gives way to the
others, and looks whether everything is still there. Run as a script it prints one line and exits
with 1 where anything crossed or leaked.
"""

import argparse
import asyncio
import gc
import io
import resource
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import greenlet

from dewar import (
    Dewar,
    Local,
    LocalStack,
    copy_current_request_context,
    current_app,
    g,
    request,
    session,
    stream_with_context,
)
from dewar.contexts.current import contexts


@dataclass
class Findings:
    """What a run found."""

    requests: int = 0
    crossings: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    growth: float = 0.0


class Soak:
    """Two apps, a Local and a stack, and requests that check on them."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.local = Local()
        self.stack: LocalStack[str] = LocalStack()
        self.apps = [self._make_app(name) for name in ("first", "second")]

    def _make_app(self, app_name: str) -> Dewar:
        app = Dewar(app_name, static_folder=None)
        app.secret_key = app_name

        @app.before_request
        def remember() -> None:
            g.name = request.args["name"]

        @app.get("/<kind>")
        def view(kind: str) -> Any:
            name = request.args["name"]
            session["name"] = self.local.name = name
            self.stack.push(name)
            self._give_way(kind, name)
            self._check(app_name, name)
            if kind == "stream":
                return stream_with_context(self._pieces(name))
            return name

        @app.teardown_request
        def forget(error: BaseException | None) -> None:
            self._check(app_name, request.args["name"])
            self.stack.pop()
            del self.local.name

        return app

    def _pieces(self, name: str) -> Any:
        for _ in range(3):
            if request.args["name"] != name or g.name != name:
                self.findings.crossings.append(f"stream of {name}")
            # The teardown after the stream takes this off again.
            self.local.name = name
            yield name
        self.stack.push(name)
        self.local.name = name

    def _give_way(self, kind: str, name: str) -> None:
        if kind == "sleep":
            time.sleep(0)
        elif kind == "greenlet":
            worker = greenlet.greenlet(copy_current_request_context(self._in_greenlet))
            worker.switch(name)
            worker.switch()
        elif kind == "task":
            asyncio.run(self._in_tasks(name))

    def _in_greenlet(self, name: str) -> None:
        self.local.name = self.stack.push("greenlet").top
        greenlet.getcurrent().parent.switch()
        if request.args["name"] != name or self.local.name != "greenlet":
            self.findings.crossings.append(f"greenlet of {name}")
        # Its teardown takes these off.
        self.local.name = name
        self.stack.pop()
        self.stack.push(name)
        g.name = name
        session["name"] = name

    async def _in_tasks(self, name: str) -> None:
        async def task(number: int) -> None:
            self.local.name = f"{name} {number}"
            self.stack.push(f"{name} {number}")
            await asyncio.sleep(0)
            if self.local.name != f"{name} {number}" or request.args["name"] != name:
                self.findings.crossings.append(f"task {number} of {name}")

        await asyncio.gather(*(task(number) for number in range(3)))

    def _check(self, app_name: str, name: str) -> None:
        seen = (
            current_app.name, request.args["name"], g.name, session["name"], self.local.name,
            self.stack.top,
        )  # fmt: skip
        if seen != (app_name, name, name, name, name, name):
            self.findings.crossings.append(f"{app_name} {name}: {seen}")

    def _request(self, thread: int, number: int) -> None:
        kind = ("plain", "sleep", "plain", "stream", "plain")[number % 5]
        if number % 50 == 7:
            kind = "greenlet"
        elif number % 200 == 13:
            kind = "task"
        name = f"{thread}-{number}"
        environ = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": f"/{kind}",
            "QUERY_STRING": f"name={name}", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
            "HTTP_HOST": "localhost", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
        }  # fmt: skip
        statuses: list[str] = []
        app = self.apps[number % 2]
        body = app(environ, lambda status, headers, exc=None: statuses.append(status))
        content = b"".join(body).decode()
        if hasattr(body, "close"):
            body.close()
        if statuses != ["200 OK"] or content not in (name, name * 3):
            self.findings.crossings.append(f"{name}: answered {statuses} {content[:60]}")
        if contexts.state is not None:
            self.findings.leftovers.append(f"a context after {name}")

    def run(self, threads: int, requests: int) -> Findings:
        """Send `requests` requests on each of `threads` threads and look what is left."""
        self._round(threads, max(1, requests // 10))
        before = _memory()
        self._round(threads, requests)
        self.findings.growth = _memory() / before - 1
        self.findings.requests = threads * requests
        gc.collect()
        if self.local.__storage__:
            self.findings.leftovers.append(f"storage {self.local.__storage__}")
        return self.findings

    def _round(self, threads: int, requests: int) -> None:
        start = threading.Barrier(threads)

        def work(thread: int) -> None:
            start.wait()
            for number in range(requests):
                self._request(thread, number)

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def _memory() -> int:
    """Return the bytes this process has in memory, or the most it ever had."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--requests", type=int, default=10_000, help="on each thread")
    arguments = parser.parse_args()
    findings = Soak().run(arguments.threads, arguments.requests)
    print(
        f"{findings.requests} requests on {arguments.threads} threads:"
        f" {len(findings.crossings)} crossings, {len(findings.leftovers)} leaks,"
        f" memory {findings.growth:+.1%}"
    )
    for finding in (findings.crossings + findings.leftovers)[:20]:
        print(" ", finding)
    return 1 if findings.crossings or findings.leftovers or findings.growth > 0.02 else 0


if __name__ == "__main__":
    sys.exit(main())

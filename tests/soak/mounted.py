"""Apps that are alike in all but their name, mounted on each other: does anything cross?

They have the same endpoints, session keys, configuration keys and the same SECRET_KEY, and are
served by our own server. ``make soak-mounts`` runs the long form; the suite runs a short one. Each
client has a jar of cookies and goes from app to app, and now and then sends one app's cookie under
another's name. Run as a script it prints one line and exits with 1 where anything crossed.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from dewar import Dewar, Response, current_app, g, jsonify, request, session, signals, url_for
from dewar.contexts.current import contexts
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.server import Server, Settings

#: Where each app is: by host, and by path.
PLACES = {
    "root": ("site.example", ""),
    "shop": ("site.example", "/shop"),
    "deep": ("site.example", "/shop/deep"),
    "admin": ("site.example", "/admin"),
    "api": ("api.site.example", ""),
}


@dataclass
class Findings:
    """What a run found."""

    requests: int = 0
    crossings: list[str] = field(default_factory=list)


def make_app(name: str, findings: Findings) -> Dewar:
    """Return an app that tells what it sees, and counts what it hears."""
    app = Dewar(name, static_folder=None)
    app.config.update(SECRET_KEY="one key for all", NAME=name)

    @app.before_request
    def begin() -> None:
        if hasattr(g, "name"):
            findings.crossings.append(f"{name} began with g of {g.name}")
        g.name = name

    @app.get("/visit/<client>")
    def visit(client: str) -> Response:
        before = [session.get("app"), session.get("client"), session.get("count", 0)]
        session.update(app=name, client=client, count=before[2] + 1)
        time.sleep(0)
        return jsonify(
            before=before,
            seen=[current_app.name, current_app.config["NAME"], g.name, request.script_root],
            links=[url_for("visit", client="x"), url_for("deep:visit", client="x", _external=True)],
        )

    @app.get("/fail/<client>")
    def fail(client: str) -> str:
        session["client"] = "nobody"
        raise LookupError(client)

    @app.errorhandler(LookupError)
    def failed(error: Exception) -> Any:
        session["client"] = str(error)
        return {"failed": [name, current_app.name, str(error)]}, 418

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        if (current_app.name, g.name) != (name, name):
            findings.crossings.append(f"{name} ended as {current_app.name} with g of {g.name}")

    def hear(sender: Dewar, **_: Any) -> None:
        if current_app.name != name:
            findings.crossings.append(f"{name} heard a signal of {current_app.name}")

    signals.request_started.connect(hear, app)
    app.extensions["heard"] = hear  # a signal holds its receivers weakly
    return app


def make_site(findings: Findings) -> DispatcherMiddleware:
    """Return all the apps, mounted in each way that there is."""
    apps = {name: make_app(name, findings) for name in PLACES}
    apps["root"].config["SERVER_NAME"] = "site.example"  # for links from the other host
    apps["shop"].mount("/deep", apps["deep"])
    apps["root"].mount("/admin", apps["admin"])
    return DispatcherMiddleware(
        apps["root"], {"/shop": apps["shop"]}, hosts={"api.site.example": apps["api"]}
    )


class Client:
    """A browser that knows what it left in each app.

    Args:
        name: What it calls itself.
        port: Where the server listens.
        findings: Where it writes down what is wrong.
    """

    def __init__(self, name: str, port: int, findings: Findings) -> None:
        self._name = name
        self._findings = findings
        self._random = random.Random(name)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        #: Cookies by host, path and name, and visits by app.
        self._jar: dict[tuple[str, str, str], str] = {}
        self._visits = dict.fromkeys(PLACES, 0)

    def run(self, requests: int) -> None:
        """Send so many requests."""
        for _ in range(requests):
            app = self._random.choice(list(PLACES))
            kind = self._random.random()
            if kind < 0.1:
                self._fail(app)
            elif kind < 0.2:
                self._disguise(app)
            else:
                self._visit(app)
        self._connection.close()

    def _visit(self, app: str) -> None:
        count = self._visits[app]
        before = [app, self._name, count] if count else [None, None, 0]
        host, path = PLACES[app]
        links = [f"{path}/visit/x", "http://site.example/shop/deep/visit/x"]
        told = self._ask(app, "visit", self._cookies(host, f"{path}/visit"))
        expected = {"before": before, "seen": [app, app, app, path], "links": links}
        self._expect(told, expected)
        self._visits[app] += 1

    def _fail(self, app: str) -> None:
        if self._visits[app]:
            host, path = PLACES[app]
            told = self._ask(app, "fail", self._cookies(host, f"{path}/fail"))
            self._expect(told, {"failed": [app, app, self._name]})

    def _disguise(self, app: str) -> None:
        """Send the cookie of each app as that of every other; none must be taken for it."""
        names = {key[2] for key in self._jar}
        host, path = PLACES[app]
        own = next((key[2] for key in self._jar if key[:2] == (host, path or "/")), None)
        for key, value in self._jar.items():
            if key[2] != own:
                told = self._ask(app, "visit", "; ".join(f"{n}={value}" for n in names), keep=False)
                self._expect(told.get("before"), [None, None, 0])
                return

    def _ask(self, app: str, what: str, cookies: str, keep: bool = True) -> Any:
        host, path = PLACES[app]
        fields = {"Host": host, **({"Cookie": cookies} if cookies else {})}
        self._connection.request("GET", f"{path}/{what}/{self._name}", headers=fields)
        response = self._connection.getresponse()
        body = response.read()
        for name, morsel in SimpleCookie(response.getheader("Set-Cookie", "")).items():
            if keep:
                self._jar[host, morsel["path"], name] = morsel.value
        return json.loads(body)

    def _cookies(self, host: str, path: str) -> str:
        """Return the field that a browser would send (RFC 6265, 5.4)."""
        return "; ".join(
            f"{name}={value}"
            for (of_host, of_path, name), value in self._jar.items()
            if of_host == host and (of_path == "/" or path.startswith(f"{of_path}/"))
        )

    def _expect(self, told: Any, expected: Any) -> None:
        if told != expected:
            self._findings.crossings.append(f"{self._name}: {told} instead of {expected}")


def run(threads: int, requests: int) -> Findings:
    """Send `requests` requests from each of `threads` clients, to as many threads of a server."""
    findings = Findings(requests=threads * requests)
    server = Server(make_site(findings), Settings(bind="127.0.0.1:0", threads=threads))
    server.start()
    try:
        port = int(str(server.addresses[0]).rpartition(":")[2])
        start = threading.Barrier(threads)

        def be_client(number: int) -> None:
            client = Client(f"client-{number}", port, findings)
            start.wait(30)
            try:
                client.run(requests)
            except Exception as error:  # it is a finding like any other
                findings.crossings.append(f"client-{number}: {error!r}")

        workers = [threading.Thread(target=be_client, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        server.stop(10.0)
    if contexts.state is not None:
        findings.crossings.append(f"{contexts!r} was left behind")
    return findings


def main() -> int:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--requests", type=int, default=10_000, help="of each client")
    arguments = parser.parse_args()
    findings = run(arguments.threads, arguments.requests)
    print(
        f"{findings.requests} requests of {arguments.threads} clients to {len(PLACES)} apps:"
        f" {len(findings.crossings)} crossings"
    )
    for finding in findings.crossings[:20]:
        print(" ", finding)
    return 1 if findings.crossings else 0


if __name__ == "__main__":
    sys.exit(main())

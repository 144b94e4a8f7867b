"""The measured servers, and the command that starts each.

Each server runs one process and, if it has threads, the same number of them. All else is its
default, without an access log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.servers import Contestant
from bench.venv import BenchVenv

THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Contestants:
    """Creates the commands of all servers in the bench venv."""

    venv: BenchVenv

    def dewar(self, app: str, threads: int, name: str = "Dewar") -> Contestant:
        """Return Dewar's server."""
        options = ["run", app, "--bind", "127.0.0.1:{port}", "--threads", str(threads)]
        return self._contestant(f"{name}, {_threads(threads)}", "dewar", options)

    def granian(self, app: str, threads: int, name: str = "granian") -> Contestant:
        """Return granian, limited to HTTP/1 like the others."""
        options = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", str(threads)]
        options += ["--http", "1", "--no-ws", "--host", "127.0.0.1", "--port", "{port}", app]
        return self._contestant(f"{name}, {_threads(threads)}", "granian", options)

    def fastpysgi(self, app: str, name: str = "fastpysgi") -> Contestant:
        """Return fastpysgi, which has one thread."""
        options = ["--host", "127.0.0.1", "--port", "{port}", app]
        return self._contestant(f"{name}, {_threads(1)}", "fastpysgi", options)

    def waitress(self, app: str, threads: int, name: str = "waitress") -> Contestant:
        """Return waitress."""
        options = ["--listen", "127.0.0.1:{port}", "--threads", str(threads), app]
        return self._contestant(f"{name}, {_threads(threads)}", "waitress-serve", options)

    def gunicorn(self, app: str, threads: int, name: str = "gunicorn gthread") -> Contestant:
        """Return gunicorn with one threaded worker."""
        options = ["--config", "python:bench.apps.gunicorn_settings", "--worker-class", "gthread"]
        options += ["--workers", "1", "--threads", str(threads), "--bind", "127.0.0.1:{port}", app]
        return self._contestant(f"{name}, {_threads(threads)}", "gunicorn", options)

    def granian_asgi(self, app: str, name: str) -> Contestant:
        """Return granian for ASGI, which has one event loop."""
        options = ["--interface", "asgi", "--workers", "1", "--http", "1", "--no-ws"]
        options += ["--host", "127.0.0.1", "--port", "{port}", app]
        return self._contestant(name, "granian", options)

    def sanic(self, app: str, name: str = "Sanic") -> Contestant:
        """Return Sanic's own server."""
        options = ["--host", "127.0.0.1", "--port", "{port}", "--single-process", "--no-motd", app]
        return self._contestant(name, "sanic", [*options, "--no-access-logs"])

    def robyn(self, module: str, name: str = "Robyn") -> Contestant:
        """Return Robyn's own server, whose address is in the environment."""
        address = ("env", "ROBYN_HOST=127.0.0.1", "ROBYN_PORT={port}")
        options = ("-m", module, "--disable-openapi", "--log-level", "WARN")
        return Contestant(name=name, command=(*address, str(self.venv.script("python")), *options))

    def uvicorn(self, app: str, name: str = "uvicorn", more: Sequence[str] = ()) -> Contestant:
        """Return uvicorn, which serves ASGI on one event loop."""
        options = ["--host", "127.0.0.1", "--port", "{port}", "--no-access-log", app]
        options += ["--log-level", "warning", "--http", "httptools", "--backlog", "4096"]
        return self._contestant(name, "uvicorn", [*options, *more])

    def raw(self) -> list[Contestant]:
        """Return the servers for the raw WSGI application."""
        app = "bench.apps.raw:app"
        return [
            *(self.dewar(app, threads) for threads in (1, THREADS, 32)),
            self.granian(app, 1),
            self.granian(app, THREADS),
            self.fastpysgi(app),
            self.waitress(app, THREADS),
            self.gunicorn(app, THREADS),
        ]

    def processes(self, counts: Sequence[int] = (1, 2)) -> list[Contestant]:
        """Return the servers with each of these numbers of processes."""
        app = "bench.apps.raw:app"
        bind = ["--bind", "127.0.0.1:{port}"]
        gunicorn = ["--config", "python:bench.apps.gunicorn_settings", *bind, app]
        gunicorn += ["--worker-class", "gthread", "--threads", str(THREADS)]
        granian = ["--interface", "wsgi", "--http", "1", "--no-ws", "--port", "{port}", app]
        granian += ["--host", "127.0.0.1", "--blocking-threads", str(THREADS)]
        dewar = ["run", app, *bind, "--threads", str(THREADS)]
        found = []
        for number in counts:
            count, label = str(number), f"{number} process{'es' if number != 1 else ''}"
            found += [
                self._contestant(f"Dewar, {label}", "dewar", [*dewar, "--processes", count]),
                self._contestant(f"granian, {label}", "granian", [*granian, "--workers", count]),
                self._contestant(f"gunicorn, {label}", "gunicorn", [*gunicorn, "--workers", count]),
            ]
        return found

    def started(self) -> list[Contestant]:
        """Return the servers whose start and memory are measured, with a framework each."""
        bind = ["--bind", "127.0.0.1:{port}", "--threads", str(THREADS)]
        dewar = ["run", "bench.apps.dewar_app:app", *bind]
        gunicorn = ["--config", "python:bench.apps.gunicorn_settings", "bench.apps.flask_app:app"]
        gunicorn += ["--worker-class", "gthread", *bind]
        modes = {
            "1 process": ["1"],
            "2 processes": ["2"],
            "4 processes, preloaded": ["4", "--preload"],
        }
        found = []
        for mode, more in modes.items():
            theirs, name = [*gunicorn, "--workers", *more], "Flask + gunicorn"
            found += [
                self._contestant(f"Dewar, {mode}", "dewar", [*dewar, "--processes", *more]),
                self._contestant(f"{name}, {mode}", "gunicorn", theirs),
            ]
        return found

    def strict(self) -> list[Contestant]:
        """Return the servers that get the raw requests."""
        app = "bench.apps.seen:app"
        makers = (self.dewar, self.granian, self.waitress, self.gunicorn)
        return [
            *(make(app, THREADS) for make in makers),
            self.fastpysgi(app),
            self.werkzeug(app),
        ]

    def werkzeug(self, app: str, name: str = "Werkzeug") -> Contestant:
        """Return Werkzeug's development server, which starts a thread for each connection."""
        module, _, attribute = app.partition(":")
        code = (
            f"from werkzeug.serving import run_simple; from {module} import {attribute};"
            f" run_simple('127.0.0.1', {{port}}, {attribute}, threaded=True)"
        )
        return self._contestant(name, "python", ["-c", code])

    def pairs(self) -> list[Contestant]:
        """Return pairs of a framework and a server that are deployed together."""
        flask, falcon, bottle = (f"bench.apps.{name}_app:app" for name in FRAMEWORKS)
        return [
            self.dewar("bench.apps.dewar_app:app", THREADS, "Dewar + Dewar"),
            self.gunicorn(flask, THREADS, "Flask + gunicorn gthread"),
            self.waitress(flask, THREADS, "Flask + waitress"),
            self.granian(flask, THREADS, "Flask + granian"),
            self.fastpysgi(flask, "Flask + fastpysgi"),
            self.granian(falcon, THREADS, "Falcon + granian"),
            self.fastpysgi(falcon, "Falcon + fastpysgi"),
            self.waitress(bottle, THREADS, "Bottle + waitress"),
            self.fastpysgi(bottle, "Bottle + fastpysgi"),
        ]

    def asynchronous(self) -> list[Contestant]:
        """Return the frameworks with coroutine views, on the servers that they are deployed on."""
        modules = {"FastAPI": "fastapi", "BlackSheep": "blacksheep", "Litestar": "litestar"}
        apps = {name: f"bench.apps.{module}_app:app" for name, module in modules.items()}
        return [
            *(self.uvicorn(app, f"{name} + uvicorn") for name, app in apps.items()),
            *(self.granian_asgi(app, f"{name} + granian") for name, app in apps.items()),
            self.sanic("bench.apps.sanic_app:app"),
            self.robyn("bench.apps.robyn_app"),
        ]

    def bodies(self) -> list[Contestant]:
        """Return the servers that take and send bodies of any size."""
        app = "bench.apps.bodies:app"
        makers = (self.dewar, self.granian, self.waitress, self.gunicorn)
        return [*(make(app, THREADS) for make in makers), self.fastpysgi(app)]

    def crowded(self) -> list[Contestant]:
        """Return the servers for raw WSGI, with room for as many connections as Dewar has."""
        app, room = "bench.apps.raw:app", "16384"
        granian = ("--backlog", "4096", "--backpressure", room)
        # Without poll(), waitress has no descriptor above 1,023.
        waitress = ("--connection-limit", room, "--asyncore-use-poll", "--backlog", "4096")
        gunicorn = ("--worker-connections", room, "--backlog", "4096")
        return [
            self.dewar(app, THREADS),
            self.granian(app, THREADS).plus(*granian),
            self.waitress(app, THREADS).plus(*waitress),
            self.gunicorn(app, THREADS).plus(*gunicorn),
            self.fastpysgi(app),
        ]

    def threaded(self, threads: int) -> list[Contestant]:
        """Return the servers that have threads, with so many of them."""
        makers = (self.dewar, self.granian, self.waitress, self.gunicorn)
        return [make("bench.apps.raw:app", threads) for make in makers]

    def echoes(self) -> list[Contestant]:
        """Return the servers with WebSockets that send each message back, on asyncio's loop."""
        asgi, loop = "bench.apps.websocket_asgi:app", ["--loop", "asyncio", "--ws"]
        return [
            self.dewar("bench.apps.websocket_wsgi:app", THREADS),
            *(
                self.uvicorn(asgi, f"uvicorn --ws {library}", [*loop, library])
                for library in ("websockets-sansio", "wsproto")
            ),
        ]

    def sleepers(self) -> list[Contestant]:
        """Return the servers with threads, with 32 of them each."""
        return self.threaded(32)

    def _contestant(self, name: str, script: str, options: list[str]) -> Contestant:
        return Contestant(name=name, command=(str(self.venv.script(script)), *options))


FRAMEWORKS = ("flask", "falcon", "bottle")


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count != 1 else ''}"

"""The same app gives the same answers on every WSGI server, and keeps its clients apart there."""

import hashlib
import http.client
import importlib.util
import json
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from deploymenttools import Answer, Process, ask, ask_on, dewar_command, free_port
from polling import eventually

HERE = Path(__file__).parent
CLIENTS, REQUESTS = 8, 12

_BOUNDARY = b"edge"
_MULTIPART = (
    b'--edge\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xc3\xa4\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="doc"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) * 4000 + b"\r\n--edge--"
    b"\r\n"
)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

#: Requests whose answers must be the same everywhere.
ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("GET", "/?x=%C3%BC+%2F", {}),
    ("HEAD", "/", {}),
    ("POST", "/", {"body": b""}),
    ("OPTIONS", "/", {}),
    ("DELETE", "/", {}),
    ("GET", "/json", {}),
    ("HEAD", "/json", {}),
    ("GET", "/path/a/b%20c/%C3%BC?q=%20", {}),
    ("GET", "/empty", {}),
    ("GET", "/missing", {}),
    ("GET", "/broken", {}),
    ("GET", "/teapot", {}),
    ("GET", "/go", {}),
    ("GET", "/link", {"headers": {"Host": "shop.example:8443"}}),
    ("GET", "/mounted/link", {"headers": {"Host": "shop.example"}}),
    ("GET", "/across", {"headers": {"Host": "shop.example:8443"}}),
    ("GET", "/mounted/across", {}),
    ("GET", "/beside/across", {}),
    ("GET", "/beside/missing", {}),
    ("GET", "/client", {"headers": {"Host": "shop.example"}}),
    ("GET", "/file", {}),
    ("HEAD", "/file", {}),
    ("GET", "/file", {"headers": {"Range": "bytes=100-299"}}),
    ("GET", "/file", {"headers": {"Range": "bytes=-7"}}),
    ("GET", "/file", {"headers": {"Range": "bytes=400000-"}}),
    ("GET", "/file", {"headers": {"If-None-Match": '"fixed"'}}),
    ("GET", "/memory", {}),
    ("GET", "/bytes/3000000", {}),
    ("POST", "/upload", {"body": b"a=1&b=%C3%A4", "headers": _FORM}),
    (
        "POST",
        "/upload",
        {"body": _MULTIPART, "headers": {"Content-Type": "multipart/form-data; boundary=edge"}},
    ),
    ("POST", "/digest", {"body": b"z" * 1_500_000}),
    ("GET", "/stream?name=x", {}),
    ("GET", "/async?name=y", {}),
    ("GET", "/waiting/?name=stop", {}),
    ("HEAD", "/waiting/class?name=y", {}),
    ("OPTIONS", "/waiting/class?name=y", {}),
    ("GET", "/waiting/class?name=y", {}),
    ("POST", "/waiting/class?name=y", {}),
    ("GET", "/waiting/broken?name=y", {}),
    ("GET", "/waiting/missing?name=y", {}),
    ("GET", "/waiting/tasks?name=y", {}),
    ("GET", "/waiting/left?name=y", {}),
    ("GET", "/waiting/stream?name=y", {}),
    ("HEAD", "/waiting/stream?name=y", {}),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The app on Dewar's own server."""
    port = free_port()
    server = Process(dewar_command(port), port, tmp_path_factory.mktemp("own"), _environ())
    yield server
    server.stop()


def _environ(**more: str) -> dict[str, str]:
    # The subprocess finds the app beside this file, and the package where we found it. The
    # methods in an Allow field are a set: they come in the same order where hashes are the same.
    path = ":".join([str(HERE), *filter(None, sys.path)])
    return {"PYTHONPATH": path, "PYTHONHASHSEED": "0", **more}


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


class DeploymentContract:
    """What holds wherever the app is deployed."""

    name = ""
    is_there: Callable[[], bool]
    #: Whether two requests can be inside the app at a time.
    is_concurrent = True
    #: Whether a connection may have several requests.
    keeps_alive = True
    #: Whether the server takes bodies without a Content-Length.
    takes_chunks = True
    #: Variables that the server is started with.
    variables: Mapping[str, str] = {}
    #: How the server mounts an app at a path, for its command line and its environment.
    prefix: tuple[list[str], dict[str, str]] | None = None

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
        if not cls.is_there():
            pytest.skip(f"{cls.name} is not installed: pip install {cls.name}")
        port = free_port()
        folder = tmp_path_factory.mktemp("served")
        server = Process(cls.command(port), port, folder, _environ(**cls.variables))
        yield server
        server.stop()

    @pytest.mark.parametrize(
        ("method", "target", "more"), ASKED, ids=[f"{m} {t}" for m, t, _ in ASKED]
    )
    def test_it_answers_as_on_our_own_server(
        self, own: Process, server: Process, method: str, target: str, more: dict[str, Any]
    ) -> None:
        """Status, fields and body are the same."""
        fields = {"Host": "shop.example", **more.get("headers", {})}
        expected = ask(own.port, method, target, **{**more, "headers": fields})
        found = ask(server.port, method, target, **{**more, "headers": fields})
        assert _comparable(found, expected) == _comparable(expected, found)

    def test_each_client_sees_its_own_state_only(self, server: Process) -> None:
        """Sessions, g and Local of clients that come all at once stay apart."""
        start = threading.Barrier(CLIENTS)

        def be_client(name: str) -> list[Any]:
            start.wait(10)
            return _visit(server.port, name, self.keeps_alive)

        with ThreadPoolExecutor(CLIENTS) as pool:
            for name, seen in zip(NAMES, pool.map(be_client, NAMES), strict=True):
                assert seen == [
                    {"found": [name, "none", n], "now": [name] * 3} for n in range(REQUESTS)
                ]

    def test_each_app_sees_its_own_sessions_only(self, server: Process) -> None:
        """Apps that are mounted beside each other, with one key and the same endpoints."""
        start = threading.Barrier(CLIENTS)

        def be_client(name: str) -> list[Any]:
            start.wait(10)
            return _visit_all(server.port, name, self.keeps_alive)

        with ThreadPoolExecutor(CLIENTS) as pool:
            for name, seen in zip(NAMES, pool.map(be_client, NAMES), strict=True):
                assert seen == [
                    [f"{name}{path}", "none", n] for n in range(REQUESTS) for path in PATHS
                ]

    def test_requests_that_meet_inside_the_app_stay_apart(self, server: Process) -> None:
        """Two requests that are held in the app together each see their own state."""
        if not self.is_concurrent:
            pytest.skip(f"{self.name} runs one request at a time")

        def meet(name: str) -> Any:
            return json.loads(ask(server.port, "GET", f"/meet?name={name}").body)

        with ThreadPoolExecutor(2) as pool:
            for _ in range(5):
                assert list(pool.map(meet, "ab")) == [
                    {"name": name, "seen": [name] * 3} for name in "ab"
                ]

    def test_streams_of_several_clients_stay_apart(self, server: Process) -> None:
        """A stream goes on with the request and the g that it began with."""

        def read(name: str) -> str:
            return ask(server.port, "GET", f"/stream?name={name}").body.decode()

        with ThreadPoolExecutor(CLIENTS) as pool:
            for name, text in zip(NAMES, pool.map(read, NAMES), strict=True):
                assert text == "".join(f"{number} {name} {name}\n" for number in range(20))

    def test_coroutines_of_several_clients_stay_apart(self, server: Process) -> None:
        """An async view has the context of its request."""

        def read(name: str) -> Any:
            return json.loads(ask(server.port, "GET", f"/async?name={name}").body)

        with ThreadPoolExecutor(CLIENTS) as pool:
            assert list(pool.map(read, NAMES)) == [{"name": name} for name in NAMES]

    def test_coroutine_hooks_tasks_and_streams_stay_apart(self, server: Process) -> None:
        """All functions of a request share what they keep, and nobody else does."""

        def read(name: str) -> list[Any]:
            view = ask(server.port, "GET", f"/waiting/?name={name}")
            tasks = ask(server.port, "GET", f"/waiting/tasks?name={name}")
            stream = ask(server.port, "GET", f"/waiting/stream?name={name}")
            return [json.loads(view.body), json.loads(tasks.body), stream.body.decode()]

        with ThreadPoolExecutor(CLIENTS) as pool:
            for name, seen in zip(NAMES, pool.map(read, NAMES), strict=True):
                assert seen == [
                    {"name": name, "kept": name, "session": name},
                    [f"{number} {name} {name}" for number in range(5)],
                    "".join(f"{number} {name} {name}\n" for number in range(20)),
                ]

    def test_a_coroutine_tears_each_request_down_once(self, server: Process) -> None:
        """Also one that failed; a stream twice, with its view and at its own end."""
        for path, times in (("", 1), ("broken", 1), ("class", 1), ("stream", 2)):
            name = secrets.token_hex(4)
            ask(server.port, "GET", f"/waiting/{path}?name={name}")
            found = ask(server.port, "GET", f"/waiting/torn-down?of={name}").body
            assert json.loads(found) == {"times": times}, path

    def test_a_body_in_chunks_comes_whole(self, server: Process) -> None:
        """Where the server takes one at all."""
        if not self.takes_chunks:
            pytest.skip(f"{self.name} takes no chunked bodies as it is started here")
        pieces = [b"a" * 70_000, b"b", b"c" * 300]
        answer = ask(server.port, "POST", "/digest", body=iter(pieces))
        whole = b"".join(pieces)
        assert answer.status == 200
        assert json.loads(answer.body) == {
            "size": len(whole),
            "sha256": hashlib.sha256(whole).hexdigest(),
        }

    def test_every_request_is_torn_down_once(self, own: Process, server: Process) -> None:
        """Also one that failed, and one whose client hung up in the middle of a stream."""
        for target in ("/broken", "/teapot", "/stream?name=x", "/missing", "/async?name=y"):
            ask(server.port, "GET", target)
        _hang_up_on_a_stream(server.port)
        _until_balanced(server.port)

    def test_links_lead_back_where_the_server_mounts_the_app(self, tmp_path: Path) -> None:
        """With the server's own way to set SCRIPT_NAME."""
        if self.prefix is None:
            pytest.skip(f"{self.name} is started without a prefix here")
        if not type(self).is_there():
            pytest.skip(f"{self.name} is not installed: pip install {self.name}")
        options, variables = self.prefix
        port = free_port()
        server = Process(self.command(port, *options), port, tmp_path, _environ(**variables))
        try:
            headers = {"Host": "shop.example"}
            for path in ("", "/mounted"):
                answer = ask(port, "GET", f"/shop{path}/link", headers=headers)
                assert json.loads(answer.body) == {
                    "inside": f"/shop{path}/path/a/b",
                    "outside": f"http://shop.example/shop{path}/path/a/b",
                    "root": f"/shop{path}",
                }
        finally:
            server.stop()


PATHS = ("", "/mounted", "/beside")
NAMES = [f"client-{number}" for number in range(CLIENTS)]


def _comparable(answer: Answer, other: Answer) -> Answer:
    """Drop a Content-Length that only one side has.

    A server may know it where another one sends chunks; `http.client` has checked it by then.
    """
    names = {name for name, _ in other.fields}
    fields = [f for f in answer.fields if f[0] != "content-length" or f[0] in names]
    return answer._replace(fields=fields)


def _visit(port: int, name: str, keeps_alive: bool) -> list[Any]:
    """Come back several times with the cookie of the session; return what was seen."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers: dict[str, str] = {}
    seen = []
    for _ in range(REQUESTS):
        answer = ask_on(client, "GET", f"/mine?name={name}", headers=headers)
        assert answer.status == 200, answer
        cookie = SimpleCookie(dict(answer.fields)["set-cookie"])
        headers = {"Cookie": f"session={cookie['session'].value}"}
        seen.append(json.loads(answer.body))
        if not keeps_alive:
            client.close()  # the next request opens it again
    client.close()
    return seen


def _visit_all(port: int, name: str, keeps_alive: bool) -> list[Any]:
    """Go from app to app with all cookies; return what each had kept."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    jar: dict[str, str] = {}
    seen = []
    for _ in range(REQUESTS):
        for path in PATHS:
            headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in jar.items())}
            answer = ask_on(client, "GET", f"{path}/mine?name={name}{path}", headers=headers)
            assert answer.status == 200, answer
            for key, cookie in SimpleCookie(dict(answer.fields)["set-cookie"]).items():
                assert cookie["path"] == (path or "/")
                jar[key] = cookie.value
            seen.append(json.loads(answer.body)["found"])
            if not keeps_alive:
                client.close()  # the next request opens it again
    client.close()
    return seen


def _hang_up_on_a_stream(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/endless")
    response = client.getresponse()
    assert response.read(1000) == b"x" * 1000
    response.close()
    client.close()


def _until_balanced(port: int) -> None:
    """Ask until all that has begun has ended, but for the request that asks."""

    def is_balanced() -> bool:
        counts = json.loads(ask(port, "GET", "/counts").body)
        return bool(counts["due"] == counts["ended"])

    eventually(is_balanced, "every request is torn down")


class TestOwnServer(DeploymentContract):
    """Dewar's own, twice: what is compared is comparable."""

    name = "dewar"
    is_there = staticmethod(_module("dewar"))

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        return dewar_command(port)


class GunicornContract(DeploymentContract):
    """gunicorn, in each of its ways to work."""

    name = "gunicorn"
    is_there = staticmethod(_module("gunicorn"))
    prefix = ([], {"SCRIPT_NAME": "/shop"})
    options: tuple[str, ...] = ()

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        bind = ["--bind", f"127.0.0.1:{port}", "--worker-tmp-dir", "/tmp"]
        return [sys.executable, "-m", "gunicorn", *bind, *cls.options, "deployed:app"]


class TestGunicornSync(GunicornContract):
    """One request at a time."""

    is_concurrent = False


class TestGunicornPreloaded(GunicornContract):
    """A fork of a process whose event loop has run: the child has one of its own."""

    is_concurrent = False
    options = ("--preload", "--workers", "1")
    variables = {"DEPLOYED_IS_WARM": "1"}


class TestGunicornThreads(GunicornContract):
    """A pool of threads."""

    options = ("--worker-class", "gthread", "--threads", "4")


class TestGunicornGevent(GunicornContract):
    """Greenlets, with everything patched."""

    name = "gevent"
    is_there = staticmethod(lambda: _module("gunicorn")() and _module("gevent")())
    options = ("--worker-class", "gevent")


class TestWaitress(DeploymentContract):
    """waitress."""

    name = "waitress"
    is_there = staticmethod(_module("waitress"))
    prefix = (["--url-prefix=/shop"], {})

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        where = f"--listen=127.0.0.1:{port}"
        return [sys.executable, "-m", "waitress", where, *options, "deployed:app"]


class TestGranian(DeploymentContract):
    """granian, as a WSGI server."""

    name = "granian"
    is_there = staticmethod(_module("granian"))
    prefix = (["--url-path-prefix", "/shop"], {})

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port)]
        how = ["--interface", "wsgi", "--blocking-threads", "4"]
        return [sys.executable, "-m", "granian", *where, *how, *options, "deployed:app"]


class TestWerkzeug(DeploymentContract):
    """The server that Werkzeug has for development."""

    name = "werkzeug"
    is_there = staticmethod(_module("werkzeug"))
    keeps_alive = takes_chunks = False

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        script = "import deployed, werkzeug.serving as serving; serving.run_simple"
        return [
            sys.executable,
            "-c",
            f"{script}('127.0.0.1', {port}, deployed.app, threaded=True)",
        ]


class TestUwsgi(DeploymentContract):
    """uWSGI."""

    name = "uwsgi"
    is_there = staticmethod(lambda: shutil.which("uwsgi") is not None)
    keeps_alive = takes_chunks = False
    prefix = (["--manage-script-name", "--mount", "/shop=deployed:app"], {})

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        where = ["--http-socket", f"127.0.0.1:{port}", "--virtualenv", sys.prefix]
        how = ["--master", "--die-on-term", "--threads", "4", "--enable-threads", "--need-app"]
        return ["uwsgi", *where, *how, *(options or ["--module", "deployed:app"])]


class TestWsgiref(DeploymentContract):
    """The server of the standard library, which answers one request at a time."""

    name = "wsgiref"
    is_there = staticmethod(_module("wsgiref"))
    is_concurrent = keeps_alive = takes_chunks = False

    @classmethod
    def command(cls, port: int, *options: str) -> list[str]:
        load = "from wsgiref.simple_server import make_server; from deployed import app;"
        code = f"make_server('127.0.0.1', {port}, app).serve_forever()"
        return [sys.executable, "-c", f"{load} {code}"]

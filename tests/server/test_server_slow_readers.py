"""Clients that take their answers slowly hold no thread, whatever the answer is made of."""

import gzip
import io
import itertools
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response as WerkzeugResponse
from werkzeug.wsgi import ClosingIterator
from werkzeug.wsgi import FileWrapper as WerkzeugFileWrapper

from certificates import Certificates
from dewar import Dewar, Response, after_this_request, send_file, session
from polling import eventually
from servertools import Client, Serve, Served

PIECE = os.urandom(50_000)
COUNT = 160
DATA = PIECE * COUNT  # more than the kernel keeps for a client that reads nothing

Answer = Callable[[Any, Any], Any]


class FileIterator:
    """An iterator of a program's own."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._file.read(30_000)
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Folder:
    """The data in files of several kinds."""

    def __init__(self, folder: Path) -> None:
        self.plain, self.gzip, self.zip = (folder / name for name in ("plain", "gzip", "zip"))
        self.plain.write_bytes(DATA)
        with gzip.open(self.gzip, "wb", compresslevel=1) as file:
            file.write(DATA)
        with zipfile.ZipFile(self.zip, "w") as archive:
            archive.writestr("member", DATA)

    def spooled(self) -> Any:
        """Return the data in a temporary file that is still in memory."""
        file = tempfile.SpooledTemporaryFile(max_size=2 * len(DATA))  # noqa: SIM115
        file.write(DATA)
        file.seek(0)
        return file

    def member(self) -> Any:
        """Return the data in an archive."""
        return zipfile.ZipFile(self.zip).open("member")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("slow"))


def wrapping(open_file: Callable[[], Any]) -> Answer:
    """Return an answer with a file in the server's wrapper."""
    return lambda environ, _: environ["wsgi.file_wrapper"](open_file())


def written(environ: Any, start_response: Any) -> Any:
    """Write the data in one call."""
    start_response("200 OK", [])(DATA)
    return []


def starting(answer: Answer) -> Answer:
    """Return *answer* behind a head."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return answer(environ, start_response)

    return app


def wsgi_apps(folder: Folder) -> dict[str, Answer]:
    """Return WSGI applications that answer with the data."""
    open_plain = partial(folder.plain.open, "rb")
    answers: dict[str, Answer] = {
        "file": wrapping(open_plain),
        "memory": wrapping(lambda: io.BytesIO(DATA)),
        "gzip": wrapping(lambda: gzip.open(folder.gzip)),  # noqa: SIM115
        "member": wrapping(folder.member),
        "spooled": wrapping(folder.spooled),
        "closing": lambda environ, start: ClosingIterator(
            wrapping(open_plain)(environ, start), lambda: None
        ),
        "werkzeug-file": lambda *_: WerkzeugFileWrapper(open_plain()),
        "iterator": lambda *_: FileIterator(folder.plain),
        "chain": lambda *_: itertools.chain([PIECE], iter([PIECE] * (COUNT - 1))),
        "list": lambda *_: [PIECE] * COUNT,
        "one": lambda *_: [DATA],
        "one-of-generator": lambda *_: (data for data in [DATA]),
    }
    return {
        **{name: starting(answer) for name, answer in answers.items()},
        "werkzeug-response": lambda *call: WerkzeugResponse([PIECE] * COUNT)(*call),
        "written": written,
    }


def dewar_app(folder: Folder, closed: list[str]) -> Dewar:
    """Return an app whose views answer with the data; *closed* gets the names of what is over."""
    app = Dewar("slow", static_folder=folder.plain.parent, static_url_path="/static")
    app.secret_key = "key"
    views: dict[str, Callable[[], Any]] = {
        "file": lambda: send_file(folder.plain, "image/png"),
        "memory": lambda: send_file(io.BytesIO(DATA), "image/png"),
        "pieces": lambda: Response([PIECE] * COUNT),
        "iterated": lambda: Response(iter([PIECE] * COUNT)),
        "whole": lambda: Response(DATA),
        "plain": lambda: DATA,
    }

    @app.get("/view/<name>")
    def view(name: str) -> Any:
        session["seen"] = name

        @after_this_request
        def noting(response: Any) -> Any:
            response.call_on_close(partial(closed.append, name))
            return response

        return views[name]()

    @app.get("/small")
    def small() -> str:
        return "small"

    return app


VIEWS = ("file", "memory", "pieces", "iterated", "whole", "plain")
# Werkzeug calls no hooks of a response that it passes to the server as it is, such as a file's.
HOOKED = ["iterated", "pieces", "plain", "whole"]
RANGES = ("bytes=0-", f"bytes=0-{len(DATA) - 1}", f"bytes=-{len(DATA)}")


def read(client: Client) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    answer = HTTPResponse(client.sock)
    answer.begin()
    return answer.status, answer.read()


class Downloads:
    """Clients that have asked for the data in all ways and read none of it yet."""

    def __init__(self, served: Served, apps: list[str], tls: Certificates | None) -> None:
        targets = [f"/wsgi/{name}" for name in apps]
        targets += ["/static/plain", *(f"/view/{name}" for name in VIEWS)]
        self.asked = [(target, "") for target in targets]
        self.asked += [("/static/plain", f"Range: {value}\r\n") for value in RANGES]
        self.context = None if tls is None else tls.client()
        self._served = served

    def begin(self, version: str) -> list[Client]:
        """Ask for each."""
        clients = []
        for target, field in self.asked:
            clients.append(self._served.client(self.context))
            request = f"GET {target} HTTP/{version}\r\nHost: x\r\n{field}\r\n"
            clients[-1].send(request.encode())
        return clients

    def check(self, clients: list[Client]) -> None:
        """Read all of each answer."""
        for client, (target, field) in zip(clients, self.asked, strict=True):
            assert read(client) == (206 if field else 200, DATA), (target, field)
            client.close()


def served_downloads(
    serve: Serve, folder: Folder, closed: list[str], threads: int, tls: Certificates | None = None
) -> tuple[Served, Downloads]:
    """Return a server with all kinds of answers, and what asks for them."""
    apps = wsgi_apps(folder)
    mounts = {f"/wsgi/{name}": app for name, app in apps.items()}
    app = DispatcherMiddleware(dewar_app(folder, closed), mounts)
    served = serve(app, threads=threads, **({} if tls is None else tls.pair()))
    return served, Downloads(served, list(apps), tls)


@pytest.mark.parametrize(
    ("is_encrypted", "version"), [(False, "1.1"), (False, "1.0"), (True, "1.1")]
)
def test_no_kind_of_answer_holds_a_thread(
    serve: Serve, folder: Folder, request: Any, is_encrypted: bool, version: str
) -> None:
    """With one thread, and a slow client for each kind, others are served; all get everything."""
    tls = request.getfixturevalue("certificates") if is_encrypted else None
    closed: list[str] = []
    served, downloads = served_downloads(serve, folder, closed, 1, tls)
    clients = downloads.begin(version)
    quick = served.client(downloads.context)
    for _ in range(20):
        assert quick.get("/small")[2] == b"small"
    assert "pieces" not in closed
    downloads.check(clients)
    eventually(lambda: sorted(closed) == HOOKED, lambda: f"{HOOKED}, but {closed}")


def test_those_that_leave_in_the_middle_are_forgotten(serve: Serve, folder: Folder) -> None:
    """Their bodies are closed, once each."""
    closed: list[str] = []
    served, downloads = served_downloads(serve, folder, closed, 2)
    clients = downloads.begin("1.1")
    quick = served.client()
    assert quick.get("/small")[2] == b"small"
    for client in clients:
        client.sock.recv(1000)
        client.close()
    eventually(lambda: served.server.statistics().pool.connections == 1, lambda: "one connection")
    assert sorted(closed) == HOOKED


def test_a_stop_closes_what_slow_clients_have_not_taken(serve: Serve, folder: Folder) -> None:
    """After the grace, and before the server has stopped; no part is taken for the whole."""
    closed: list[str] = []
    served, downloads = served_downloads(serve, folder, closed, 2)
    clients = downloads.begin("1.1")
    assert served.client().get("/small")[2] == b"small"
    served.server.stop(0.1)
    assert sorted(closed) == HOOKED
    for client in clients:
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            read(client)


def test_a_client_that_reads_on_is_waited_for_at_a_stop(serve: Serve, folder: Folder) -> None:
    """As for any request in flight."""
    closed: list[str] = []
    served, downloads = served_downloads(serve, folder, closed, 1)
    clients = downloads.begin("1.1")
    assert served.client().get("/small")[2] == b"small"
    stopper = threading.Thread(target=served.server.stop, args=(30,))
    stopper.start()
    downloads.check(clients)
    stopper.join(30)
    assert not stopper.is_alive()
    assert sorted(closed) == HOOKED


def test_a_generator_keeps_its_thread(serve: Serve) -> None:
    """What it has opened may belong to that thread."""
    threads: set[int] = set()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        for _ in range(COUNT):
            threads.add(threading.get_ident())
            yield PIECE

    served = serve(app, threads=4)
    client = served.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read(client) == (200, DATA)
    assert len(threads) == 1

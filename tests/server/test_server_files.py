"""``wsgi.file_wrapper``: files go out as they are, and the kernel sends those that it can."""

import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar, send_file
from polling import eventually
from servertools import Serve

SIZE = 3_000_000
DATA = os.urandom(SIZE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def sendfiles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that notes what each call of the system's sendfile has sent."""
    real, sent = os.sendfile, []

    def noting(out: int, fd: int, offset: int, count: int) -> int:
        sent.append(real(out, fd, offset, count))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", noting)
    return sent


def wait_sent(sendfiles: list[int], count: int) -> None:
    """Wait until the kernel has sent so many bytes; the client may know before our list does."""
    eventually(
        lambda: sum(sendfiles) == count, lambda: f"{count} bytes, but there are {sum(sendfiles)}"
    )


def descriptors() -> int:
    """Return how many are open, or nothing where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else -3


def serving(
    open_file: Callable[[], Any], headers: list[tuple[str, str]] | None = None
) -> tuple[Any, list[Any]]:
    """Return an application that answers with a wrapped file, and the files it has opened."""
    opened: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(headers or []))
        opened.append(open_file())
        return environ["wsgi.file_wrapper"](opened[-1])

    return app, opened


@pytest.mark.parametrize("buffering", [0, -1])
def test_the_kernel_sends_a_plain_file(
    serve: Serve, path: Path, sendfiles: list[int], buffering: int
) -> None:
    """With its length; it is closed, and the connection goes on."""
    app, opened = serving(lambda: path.open("rb", buffering))
    client = serve(app).client()
    for _ in range(3):
        status, fields, body = client.get()
        assert (status, body) == (b"HTTP/1.1 200 OK", DATA)
        assert fields[b"content-length"] == str(SIZE).encode()
    wait_sent(sendfiles, 3 * SIZE)
    assert all(file.closed for file in opened[:-1])


def test_it_begins_at_the_position_and_ends_at_the_declared_length(
    serve: Serve, path: Path, sendfiles: list[int]
) -> None:
    """As PEP 3333 has it: so a part of a file can be sent."""

    def positioned() -> Any:
        file = path.open("rb")
        file.seek(1000)
        file.read(10)
        return file

    app, _ = serving(positioned, [("Content-Length", "5000")])
    client = serve(app).client()
    assert client.get()[2] == DATA[1010:6010]
    assert client.get()[2] == DATA[1010:6010]
    wait_sent(sendfiles, 10_000)


def test_a_file_shorter_than_declared_ends_the_connection(
    serve: Serve, tmp_path: Path, quiet: None
) -> None:
    """The client can tell that something is missing."""
    (tmp_path / "short").write_bytes(b"short")
    app, _ = serving(lambda: (tmp_path / "short").open("rb"), [("Content-Length", "10")])
    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nshort")


def test_an_empty_file_is_an_empty_body(serve: Serve, tmp_path: Path) -> None:
    """And nothing is asked of the kernel for it."""
    (tmp_path / "empty").touch()
    app, _ = serving(lambda: (tmp_path / "empty").open("rb"))
    client = serve(app).client()
    for _ in range(2):
        _, fields, body = client.get()
        assert (fields[b"content-length"], body) == (b"0", b"")


@pytest.mark.parametrize("kind", ["gzip", "bytes", "unseekable"])
def test_what_is_no_plain_file_is_read(
    serve: Serve, tmp_path: Path, sendfiles: list[int], kind: str
) -> None:
    """A GzipFile's descriptor, for one, has other bytes than reading it gives."""
    (tmp_path / "data.gz").write_bytes(gzip.compress(DATA))

    class Unseekable(io.BytesIO):
        def fileno(self) -> int:
            raise io.UnsupportedOperation

    kinds: dict[str, Callable[[], Any]] = {
        "gzip": lambda: gzip.open(tmp_path / "data.gz"),  # noqa: SIM115
        "bytes": lambda: io.BytesIO(DATA),
        "unseekable": lambda: Unseekable(DATA),
    }
    app, opened = serving(kinds[kind])
    client = serve(app).client()
    assert client.get()[2] == DATA
    assert sendfiles == []
    client.get()  # the first one is over by then
    assert opened[0].closed


def test_a_pipe_is_read(serve: Serve, sendfiles: list[int]) -> None:
    """It has a descriptor, but no length."""

    def pipe() -> Any:
        read, write = os.pipe()
        os.write(write, b"through the pipe")
        os.close(write)
        return os.fdopen(read, "rb")

    app, _ = serving(pipe)
    assert serve(app).client().get()[2] == b"through the pipe"
    assert sendfiles == []


def test_a_named_temporary_file_is_sent(serve: Serve, sendfiles: list[int]) -> None:
    """It goes away with its close(), and the client still gets the whole of it."""

    def temporary() -> Any:
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115
        file.write(DATA)
        file.seek(0)
        return file

    app, _ = serving(temporary)
    assert serve(app).client().get()[2] == DATA
    wait_sent(sendfiles, SIZE)


def test_head_has_the_length_and_no_body(serve: Serve, path: Path, sendfiles: list[int]) -> None:
    """Nothing of the file is read."""
    app, opened = serving(lambda: path.open("rb"))
    client = serve(app).client()
    _, fields, body = client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (fields[b"content-length"], body) == (str(SIZE).encode(), b"")
    assert sendfiles == []
    client.get()  # the first one is over by then
    assert opened[0].closed
    assert client.get()[2] == DATA


def test_a_slow_download_holds_no_thread(serve: Serve, tmp_path: Path) -> None:
    """The rest of a file waits in the connection; with one thread others are served."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(16_000_000)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/large":
            return environ["wsgi.file_wrapper"](large.open("rb"))
        return [b"small"]

    served = serve(app, threads=1)
    slow = [served.client() for _ in range(3)]
    for client in slow:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    quick = served.client()
    for _ in range(50):
        assert quick.get("/small")[2] == b"small"
    before = descriptors()
    for client in slow[:2]:
        assert len(client.answer()[2]) == 16_000_000
    slow[2].close()  # in the middle of it
    assert quick.get("/small")[2] == b"small"
    while descriptors() > before - 3:
        assert quick.get("/small")[2] == b"small"


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(
    serve: Serve, tmp_path: Path
) -> None:
    """The length has been promised by then."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(16_000_000)
    app, _ = serving(lambda: large.open("rb"))
    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.sock.recv(1000)
    with large.open("r+b") as file:
        file.truncate(1000)
    assert len(client.rest()) < 16_000_000


def test_pipelined_files_come_in_order(serve: Serve, tmp_path: Path) -> None:
    """Each waits for the one before it."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode() * 500_000)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"]((tmp_path / environ["PATH_INFO"][1:]).open("rb"))

    client = serve(app).client()
    client.send(b"".join(b"GET /%c HTTP/1.1\r\nHost: x\r\n\r\n" % name for name in b"abc"))
    assert [client.answer()[2] for _ in range(3)] == [name * 500_000 for name in (b"a", b"b", b"c")]


def test_send_file_of_an_app_is_sent_by_the_kernel(
    serve: Serve, path: Path, sendfiles: list[int]
) -> None:
    """Also its ranges come out right, though these are read."""
    app = Dewar("files")

    @app.get("/")
    def index() -> Any:
        return send_file(path)

    client = serve(app).client()
    assert client.get()[2] == DATA
    wait_sent(sendfiles, SIZE)
    status, _, body = client.get("/", Range="bytes=1000-1999")
    assert (status, body) == (b"HTTP/1.1 206 PARTIAL CONTENT", DATA[1000:2000])


def test_a_body_without_length_that_fails_half_way_ends_with_a_reset(
    serve: Serve, quiet: None
) -> None:
    """HTTP/1.0 knows no chunks: a normal end would make what came the whole body."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        raise ZeroDivisionError

    client = serve(app).client()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.rest()

"""`is_thread_bound`: which bodies another thread may go on with."""

import gzip
import io
import itertools
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator, FileWrapper, _RangeWrapper

from dewar.server.connection import file_wrapper
from dewar.server.connection.thread_bound import is_thread_bound

PIECES = [b"piece"] * 3


class Pieces:
    """An iterator of the program's own."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


class Slots:
    """The same without a ``__dict__``."""

    __slots__ = ("source",)

    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


class Reader:
    """A file of the program's own, on top of something."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def read(self, size: int = -1) -> bytes:
        """Return nothing."""
        return b""


class Repository:
    """An object that an iterator asks for its items."""

    def __init__(self, source: Any) -> None:
        self.source = source


class App:
    """What an iterator may know besides its source."""

    def __init__(self) -> None:
        self.streams = [generator()]

    def done(self) -> None:
        """Do nothing."""


class State(threading.local):
    """What belongs to a thread by its nature."""


def generator() -> Iterator[bytes]:
    """Return a generator that has begun."""

    def pieces() -> Iterator[bytes]:
        yield from PIECES

    begun = pieces()
    next(begun)
    return begun


def calling(source: Iterator[bytes]) -> Iterator[bytes]:
    """Return an iterator that calls a function with *source* in its closure."""
    return iter(lambda: next(source, b""), b"")


def begun(response: Response) -> Any:
    """Return the iterator of *response* after its first piece."""
    pieces = response.get_app_iter({"REQUEST_METHOD": "GET"})
    next(iter(pieces))
    return pieces


WRAPPINGS = {
    "itself": lambda source: source,
    "map": lambda source: map(bytes, source),
    "chain": lambda source: itertools.chain([b"head"], source),
    "chain begun": lambda source: advanced(itertools.chain([b"a", b"b"], source)),
    "islice": lambda source: itertools.islice(source, 5),
    "zip": lambda source: zip(source, PIECES, strict=False),
    "closing": lambda source: ClosingIterator(source, lambda: None),
    "closing twice": lambda source: ClosingIterator(ClosingIterator(source)),
    "partial": lambda source: iter(partial(next, source), b""),
    "method": lambda source: iter(source.__next__, b""),
    "closure": calling,
    "attribute": lambda source: Pieces(app=App(), source=source),
    "attribute of an attribute": lambda source: Pieces(repository=Repository(source)),
    "list of sources": lambda source: Pieces(sources=[b"x", source]),
    "slot": Slots,
    "response": lambda source: begun(Response(itertools.chain(PIECES, source))),
    "file": lambda source: file_wrapper.FileWrapper(Reader(source)),  # type: ignore[arg-type]
    "range": lambda source: _RangeWrapper(FileWrapper(Reader(source)), 1, 2),  # type: ignore[arg-type]
}


def advanced(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return *pieces* after the first one."""
    next(pieces)
    return pieces


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_generator_is_found_behind_whatever_iterates_over_it(name: str) -> None:
    """So it goes on in the thread that its first step ran in."""
    assert is_thread_bound(WRAPPINGS[name](generator()))


@pytest.mark.parametrize("name", WRAPPINGS)
def test_the_same_over_a_list_may_move(name: str) -> None:
    """There is no code of the program's that remembers its thread."""
    assert not is_thread_bound(WRAPPINGS[name](iter([*PIECES])))


def test_what_belongs_to_a_thread_is_found(tmp_path: Path) -> None:
    """A cursor of sqlite3 raises an error in any other thread."""
    with sqlite3.connect(tmp_path / "db") as connection:
        for source in (connection.execute("select 1"), connection, State()):
            assert is_thread_bound(Pieces(source=source))
            assert is_thread_bound(file_wrapper.FileWrapper(Reader(source)))  # type: ignore[arg-type]
    connection.close()


def test_files_of_any_kind_may_move(tmp_path: Path) -> None:
    """Also those without a descriptor of their own."""
    path = tmp_path / "plain"
    path.write_bytes(gzip.compress(b"content"))
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("member", b"content")
    archive = zipfile.ZipFile(tmp_path / "zip")
    zipped = gzip.GzipFile(path)
    files = [path.open("rb"), io.BytesIO(b"x"), zipped, archive.open("member")]
    for file in files:
        assert not is_thread_bound(file_wrapper.FileWrapper(file))  # type: ignore[arg-type]
        assert not is_thread_bound(file)
        file.close()
    archive.close()


def test_a_generator_that_has_ended_binds_nothing() -> None:
    """It runs no more code."""
    ended = generator()
    list(ended)
    assert not is_thread_bound(Pieces(source=ended))


def test_hooks_that_run_at_the_end_bind_nothing() -> None:
    """They may lead to the whole application, and everything is behind that."""
    app = App()
    assert not is_thread_bound(ClosingIterator(iter(PIECES), app.done))
    response = Response(PIECES)
    response.call_on_close(app.done)
    assert not is_thread_bound(begun(response))


def test_a_large_list_is_not_gone_through() -> None:
    """A million rows are one source."""
    rows = [(b"row", str(number)) for number in range(100_000)]
    assert not is_thread_bound(map(repr, rows))


def test_no_code_of_an_object_runs() -> None:
    """A proxy may raise when it is asked for its class."""

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        @property
        def __class__(self) -> Any:
            raise RuntimeError

    found = is_thread_bound(Pieces(app=Proxy()))
    assert not found

"""The body of a request, read by the shortest way, is the one that Werkzeug's way reads."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import werkzeug
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.test import create_environ

from dewar import Dewar, Request
from dewar.messages.request import reads_plainly
from dewar.messages.request_body import maybe_read
from dewar.server.wire.limits import Limits
from dewar.server.wire.storage import BodyStorage


class FullRequest(Request):
    """Reads and parses by Werkzeug's methods alone; the stream and its limits are Dewar's."""

    get_data = werkzeug.Request.get_data
    get_json = werkzeug.Request.get_json
    _load_form_data = werkzeug.Request._load_form_data
    mimetype = werkzeug.Request.mimetype
    form = werkzeug.Request.form  # type: ignore[assignment]
    files = werkzeug.Request.files  # type: ignore[assignment]


class RawFile(io.RawIOBase):
    """A ``wsgi.input`` that is no file in memory."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        return self._file.readinto(buffer)


class OwnFile(io.BytesIO):
    """A file in memory that reads in its own way."""

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with something else."""
        count = super().readinto(buffer)
        buffer[:count] = bytes(buffer[:count]).upper()
        return count


def memory_file(data: bytes) -> Any:
    """Return a file as the server has for bodies that come in pieces."""
    file = BodyStorage(Limits()).open_memory()
    assert file.try_append(data)
    file.seek(0)
    return file


def half_read(data: bytes) -> io.BytesIO:
    """Return a file of which middleware has read something."""
    file = io.BytesIO(data)
    file.read(2)
    return file


def with_own_method(data: bytes) -> io.BytesIO:
    """Return a file that middleware has given a method."""
    file = io.BytesIO(data)
    file.readinto = OwnFile(data).readinto  # type: ignore[method-assign]
    return file


def closed(data: bytes) -> io.BytesIO:
    """Return a file that cannot be read any more."""
    file = io.BytesIO(data)
    file.close()
    return file


FILES = [io.BytesIO, memory_file, RawFile, OwnFile, half_read, with_own_method, closed]
FORM = "application/x-www-form-urlencoded"
TYPES = [
    "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
    "Application/JSON", "application/json ", "application/vnd.api+json", "application/json;",
    FORM, FORM + "; charset=utf-8", FORM + ";charset=utf-8", FORM.upper(), FORM + "; a=b",
    "text/plain", "", "multipart/form-data; boundary=x", "multipart/form-data",
]  # fmt: skip
pieces = st.sampled_from(
    ["a", "b=", "=c", "a=1", "a=2", "n+m=x+y", "%41=%42", "%", "%4", "%zz", "é=ü", "%C3%A9=1",
     "%ff=%e9", "%2B=%26", "a;b=c;d", "", "a=b=c", "+", "%00", "\x00"]
) | st.text("ab=&;%20+é#?", max_size=6)  # fmt: skip
forms = st.lists(pieces, max_size=6).map("&".join).map(str.encode)
jsons = st.sampled_from(
    ['{"a": 1}', "[1, 2]", '{"a": NaN}', " {}", "{} ", "{}\n\r\t", "{}\x0b", "[]x", "{", "[", "",
     "1", "null", '"a"', '{"é": "ü"}', "[1,]", '{"a": 1, "a": 2}', "\ufeff{}", "[[[[]]]]",
     '["\\ud800"]']
).flatmap(
    lambda text: st.sampled_from(["utf-8", "utf-16-le", "utf-16", "utf-32-be"]).map(text.encode)
)  # fmt: skip
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
bodies = forms | jsons | st.binary(max_size=9) | st.just(MULTIPART)


@st.composite
def environs(draw: Any) -> tuple[dict[str, Any], Callable[[bytes], Any], bytes]:
    """Return an environ without its input, what makes that, and the body."""
    body = draw(bodies)
    size = len(body)
    lengths = [str(size), str(size + 1), str(max(size - 1, 0)), f" {size} ", f"00{size}", "-1"]
    length = draw(st.sampled_from([str(size)] * 4 + [*lengths, "x", "²", "", None]))
    environ: dict[str, Any] = {"CONTENT_TYPE": draw(st.sampled_from(TYPES))}
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    if draw(st.booleans()):
        environ["wsgi.input_terminated"] = True
    if draw(st.integers(0, 9)) == 0:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    return environ, draw(st.sampled_from(FILES[:2] * 3 + FILES)), body


def _set(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda request: setattr(request, name, value)


def _as_json(headers: Headers) -> Headers:
    """Return headers of the program, with another type."""
    own = Headers([*headers])
    own["Content-Type"] = "application/json"
    return own


STEPS: dict[str, Callable[[Any], Any]] = {
    "get_json()": lambda request: request.get_json(),
    "json": lambda request: request.json,
    "get_json(force)": lambda request: request.get_json(force=True),
    "get_json(silent)": lambda request: request.get_json(silent=True),
    "get_json(force, silent)": lambda request: request.get_json(True, True),
    "get_json(cache=False)": lambda request: request.get_json(cache=False),
    "get_json(force, cache=False)": lambda request: request.get_json(True, cache=False),
    "get_data()": lambda request: request.get_data(),
    "get_data(cache=False)": lambda request: request.get_data(cache=False),
    "get_data(as_text)": lambda request: request.get_data(as_text=True),
    "get_data(False, as_text)": lambda request: request.get_data(False, True),
    "get_data(parse_form_data)": lambda request: request.get_data(parse_form_data=True),
    "data": lambda request: request.data,
    "form": lambda request: [*request.form.lists()],
    "form's class": lambda request: type(request.form),
    "files": lambda request: [*request.files.lists()],
    "values": lambda request: [*request.values.lists()],
    "stream.read()": lambda request: request.stream.read(),
    "stream.read(2)": lambda request: request.stream.read(2),
    "stream.tell()": lambda request: request.stream.tell(),
    "stream's class": lambda request: type(request.stream),
    "mimetype": lambda request: request.mimetype,
    "mimetype_params": lambda request: request.mimetype_params,
    "is_json": lambda request: request.is_json,
    "content_type": lambda request: request.content_type,
    "content_length": lambda request: request.content_length,
    "headers": lambda request: request.headers.get("Content-Type"),
    "limit 4": _set("max_content_length", 4),
    "limit form": _set("max_form_memory_size", 3),
    "own dict": _set("parameter_storage_class", MultiDict),
    "rest of the input": lambda request: request.environ["wsgi.input"].read(),
    "close": lambda request: request.close(),
}
# What middleware or a hook may change before anything is read.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "own headers": lambda request: _set("headers", _as_json(request.headers))(request),
    "other type": lambda request: request.environ.update(CONTENT_TYPE="application/json"),
}
sequences = st.tuples(
    st.lists(st.sampled_from([*CHANGES]), max_size=1),
    st.lists(st.sampled_from([*STEPS]), min_size=1, max_size=5),
).map(lambda both: [*both[0], *both[1]])


def outcome(step: Callable[[Any], Any], request: Any) -> str:
    """Return what a step returns or raises, as text."""
    try:
        return repr(step(request))
    except Exception as error:
        return f"{type(error).__name__}: {error}; {getattr(error, 'code', None)}"


@contextmanager
def requests(
    environ: dict[str, Any], file: Callable[[bytes], Any], body: bytes, config: dict[str, Any]
) -> Iterator[tuple[Request, Request]]:
    """Have the current request of an app, and the same one whose body is read in full."""
    app = Dewar("bodies")
    app.config.update(config)
    environ = create_environ("/?q=1", method="POST") | environ
    with app.request_context({**environ, "wsgi.input": file(body)}) as context:
        full = FullRequest({**environ, "wsgi.input": file(body)})
        full.json_module, full._dewar_app = app.json, app
        yield context.request, full


limits = st.sampled_from([None, None, None, 0, 4, 5, 100])


@settings(max_examples=600)
@given(environs(), sequences, limits, limits, st.booleans())
@example(
    ({"CONTENT_TYPE": FORM, "CONTENT_LENGTH": "3"}, io.BytesIO, b"a=1"),
    ["form", "files", "data"],
    None,
    None,
    True,
)
@example(
    ({"CONTENT_TYPE": FORM, "CONTENT_LENGTH": "4"}, io.BytesIO, b"a=1"), ["form"], None, None, False
)
def test_each_sequence_of_steps_has_werkzeugs_outcomes(
    given_environ: tuple[dict[str, Any], Callable[[bytes], Any], bytes],
    names: list[str],
    limit: int | None,
    form_limit: int | None,
    debug: bool,
) -> None:
    """Whatever is asked for, in any order, with any limits, in debug mode or not."""
    config = {"MAX_CONTENT_LENGTH": limit, "MAX_FORM_MEMORY_SIZE": form_limit, "DEBUG": debug}
    with requests(*given_environ, config) as (ours, full):
        for name in names:
            step = STEPS.get(name) or CHANGES[name]
            assert outcome(step, ours) == outcome(step, full), name


@settings(max_examples=300)
@given(environs(), sequences)
def test_without_a_limit_they_are_those_of_werkzeugs_class(
    given_environ: tuple[dict[str, Any], Callable[[bytes], Any], bytes], names: list[str]
) -> None:
    """The class of Werkzeug itself, with nothing of Dewar."""
    _, file, body = given_environ
    with requests(*given_environ, {}) as (ours, _):
        theirs = werkzeug.Request({**ours.environ, "wsgi.input": file(body)})
        theirs.json_module = ours.json_module
        for name in names:
            step = STEPS.get(name) or CHANGES[name]
            if "limit" in name or "class" in name:
                continue  # Dewar's streams and dicts are its own
            found, expected = outcome(step, ours), outcome(step, theirs)
            # Flask's requests say why only in debug mode.
            assert found.partition(";")[0] == expected.partition(";")[0] or (
                "BadRequest" in found and "BadRequest" in expected
            ), name


@settings(max_examples=300)
@given(forms | st.binary(max_size=9))
@example(b"a+b=c+%2B&a=%")
@example(b"a=\xff&b=1")
def test_forms_are_parsed_as_werkzeug_does(body: bytes) -> None:
    """With escapes, empty and repeated names, other separators, and what is no UTF-8."""
    environ = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": FORM}
    with requests(environ, io.BytesIO, body, {}) as (ours, full):
        assert repr(ours.form) == repr(full.form)


@pytest.mark.parametrize("limit", [5, 6, 7])
@pytest.mark.parametrize("key", ["MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS"])
@pytest.mark.parametrize("is_terminated", [False, True])
@pytest.mark.parametrize("step", ["get_json(force)", "data", "form", "get_data(cache=False)"])
def test_a_body_of_the_limits_size_is_taken(
    step: str, is_terminated: bool, key: str, limit: int
) -> None:
    """And one of a byte more is a 413, if it is for Werkzeug."""
    environ: dict[str, Any] = {"CONTENT_LENGTH": "6", "CONTENT_TYPE": FORM}
    if is_terminated:
        environ["wsgi.input_terminated"] = True
    with requests(environ, io.BytesIO, b"[1, 2]", {key: limit}) as (ours, full):
        found = outcome(STEPS[step], ours)
        assert found == outcome(STEPS[step], full)
        assert ("413" in found) == (limit < 6 and key == "MAX_CONTENT_LENGTH")
        assert outcome(STEPS["stream.read()"], ours) == outcome(STEPS["stream.read()"], full)


@pytest.mark.parametrize("file", [io.BytesIO, memory_file])
def test_what_is_in_memory_is_read_at_once(file: Any) -> None:
    """So the tests above compare two ways."""
    environ = {"CONTENT_LENGTH": "3", "CONTENT_TYPE": FORM}
    with requests(environ, file, b"a=1", {}) as (ours, full):
        assert maybe_read(ours, ours._dewar_app) == b"a=1"
        assert ours._dewar_plain_type() is None
        assert full._dewar_plain_type() is None


MEMBERS: dict[str, Any] = {
    "_get_stream_for_parsing": lambda _: io.BytesIO(b"own=1"),
    "get_data": lambda _, **__: b"own=1",
    "is_json": False,
    "make_form_data_parser": lambda _: FormDataParser(),
    "mimetype": "text/plain",
    "max_content_length": 2,
    "max_form_memory_size": 2,
    "parameter_storage_class": MultiDict,
    "stream": SimpleNamespace(read=lambda _=-1: b"own=1"),
    "want_form_data_parsed": False,
    "form_data_parser_class": type("OwnParser", (FormDataParser,), {}),
    "headers": Headers({"Content-Type": "text/plain"}),
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("where", ["subclass", "class", "request"])
@pytest.mark.parametrize("step", ["get_json()", "data", "form", "form's class", "mimetype"])
def test_what_a_program_has_in_place_of_a_member_is_used(
    name: str, where: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a class of its own, on the class of all requests, or on one request."""
    app = Dewar("bodies")
    if where == "subclass":
        app.request_class = type("OwnRequest", (Request,), {name: MEMBERS[name]})
    elif where == "class":
        monkeypatch.setattr(Request, name, MEMBERS[name])
        app = Dewar("bodies")
    is_json = step == "get_json()"
    kind, body = ("application/json", b"[1, 2]") if is_json else (FORM, b"a=1&b=2")
    environ = create_environ(method="POST", data=body, content_type=kind)
    with app.request_context({**environ, "wsgi.input": io.BytesIO(body)}) as context:
        ours = context.request
        full = type("Full", (FullRequest,), {name: MEMBERS[name]} if where != "request" else {})(
            {**environ, "wsgi.input": io.BytesIO(body)}
        )
        full.json_module, full._dewar_app = app.json, app
        if where == "request":
            function = MEMBERS[name]
            is_method = callable(function) and not isinstance(function, type)
            for one in (ours, full):
                value = function.__get__(one) if is_method else function
                one.__dict__[name] = value
        else:
            assert not reads_plainly(type(ours))
        assert outcome(STEPS[step], ours) == outcome(STEPS[step], full)

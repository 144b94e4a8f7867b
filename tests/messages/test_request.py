"""`Request`: Werkzeug's answers, worked out late."""

import io
import pickle
from typing import Any

import pytest
import werkzeug
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, FileStorage, Headers, MultiDict
from werkzeug.test import EnvironBuilder

from dewar import Dewar, Request, request

NAMES = [
    "method", "scheme", "server", "root_path", "path", "query_string", "remote_addr", "url",
    "base_url", "host", "host_url", "full_path", "script_root", "is_secure", "mimetype", "args",
    "max_content_length", "max_form_memory_size", "max_form_parts",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "/a/é?x=1&y=%20z+q&x=2"},
        {"path": "//a//b", "base_url": "https://example.com:8443/app"},
        {"method": "post", "data": {"k": "v"}},
    ],
)
def test_every_attribute_is_werkzeugs(name: str, arguments: dict[str, Any]) -> None:
    """Being lazy changes no value."""
    ours = Request(EnvironBuilder(**arguments).get_environ())
    theirs = werkzeug.Request(EnvironBuilder(**arguments).get_environ())
    assert getattr(ours, name) == getattr(theirs, name)
    assert getattr(ours, name) == getattr(theirs, name), "the second look must give the same"


def test_odd_servers_are_told_apart() -> None:
    """A UNIX socket has no port, and some servers say nothing of themselves."""
    assert Request({"SERVER_NAME": "/run/x.sock"}).server == ("/run/x.sock", None)
    assert Request({"SERVER_NAME": "x", "SERVER_PORT": "unix"}).server == ("x", None)
    assert Request({}).server is None


@settings(max_examples=300)
@given(st.text(alphabet="abc=&;%20+é ü\t#?", max_size=24))
def test_the_query_string_is_parsed_as_werkzeug_does(query: str) -> None:
    """With and without anything to decode."""
    environ = {"QUERY_STRING": query.encode().decode("latin-1")}
    ours, theirs = Request(dict(environ)), werkzeug.Request(dict(environ))
    compare_multi_dicts(ours.args, theirs.args)


def compare_multi_dicts(ours: Any, theirs: Any) -> None:
    """Assert that two behave the same."""
    assert ours == theirs
    assert repr(ours) == repr(theirs)
    assert list(ours.items(multi=True)) == list(theirs.items(multi=True))
    assert isinstance(ours, type(theirs))
    assert [*pickle.loads(pickle.dumps(ours)).lists()] == [*theirs.lists()]
    for key in (*theirs, "missing", None):
        assert ours.get(key) == theirs.get(key)
        assert ours.getlist(key) == theirs.getlist(key)
        assert ours.get(key, "other", int) == theirs.get(key, "other", int)
        assert ours.get(key, type=len) == theirs.get(key, type=len)


cookie_pieces = st.sampled_from(
    [
        "session",
        "session=a.b-c_d",
        "session =x",
        "session= y ",
        "xsession=1",
        "sessionx=2",
        "s=a b",
        "s=",
        "=s",
        "session=a=b",
        'session="q;"',
        's="; session=2"',
        "session~admin=3",
        "a=b=c",
        "\tsession=t\t",
        "session=n\n",
        "\nsession=m",
        "session=\xc3\xa9",
        "s(=4",
        "",
        " ",
        '"',
    ]
)
cookie_fields = st.lists(cookie_pieces | st.text("s=; \t\"'\\a", max_size=9), max_size=5).flatmap(
    lambda some: st.sampled_from(["; ", ";", " ;"]).map(lambda between: between.join(some))
)


@settings(max_examples=500)
@given(cookie_fields)
@example("session=1; session=2")
@example("session=a\x0bb")
def test_cookies_are_parsed_as_werkzeug_does(text: str) -> None:
    """Plain ones, and those with quotes, odd spaces, other characters or no name."""
    environ = {"HTTP_COOKIE": text.encode().decode("latin-1")}
    ours, theirs = Request(dict(environ)), werkzeug.Request(dict(environ))
    compare_multi_dicts(ours.cookies, theirs.cookies)


@pytest.mark.parametrize("kind", [Headers, EnvironHeaders])
def test_cookies_are_those_of_the_headers(kind: Any) -> None:
    """Which a program may replace."""
    field = {"Cookie": "s=own"} if kind is Headers else {"HTTP_COOKIE": "s=own"}
    made = Request({"HTTP_COOKIE": "s=1"})
    made.headers = kind(field)
    assert made.cookies.get("s") == "own"


@given(
    st.dictionaries(
        st.sampled_from(["HTTP_ACCEPT", "HTTP_X_A", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST"]),
        st.text(max_size=4),
    ),
    st.sampled_from(["accept", "X-A", "x_a", "Content-Type", "content-LENGTH", "Host", "none", 3]),
)
def test_header_fields_are_werkzeugs(environ: dict[str, str], name: Any) -> None:
    """Those that are there, and those that are missing."""
    ours, theirs = Request(dict(environ)).headers, werkzeug.Request(dict(environ)).headers
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "other", int) == theirs.get(name, "other", int)
    assert ours.get(name, type=len) == theirs.get(name, type=len)
    assert [*ours] == [*theirs]
    assert repr(ours) == repr(theirs)


def test_a_class_with_other_storage_gets_it() -> None:
    """The classes of a program are used for what is plain, too."""

    class OwnRequest(Request):
        parameter_storage_class = MultiDict  # type: ignore[assignment]
        dict_storage_class = MultiDict  # type: ignore[assignment]

    made = OwnRequest({"QUERY_STRING": "a=1", "HTTP_COOKIE": "b=2"})
    assert (type(made.args), type(made.cookies)) == (MultiDict, MultiDict)
    assert (made.args, made.cookies) == (MultiDict({"a": "1"}), MultiDict({"b": "2"}))


def test_a_request_refers_to_itself_in_its_environ_unless_told_not_to() -> None:
    """As Werkzeug's does."""
    environ: dict[str, Any] = {}
    assert environ.get("werkzeug.request") is None
    made = Request(environ)
    assert environ["werkzeug.request"] is made
    environ = {}
    Request(environ, populate_request=False)
    Request(environ, shallow=True)
    assert environ == {}


def test_limits_come_from_the_app_and_can_be_set_for_one_request() -> None:
    """MAX_CONTENT_LENGTH and its like."""
    app = Dewar("limits", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 10
    app.add_url_rule("/", "home", lambda: str(len(request.get_data())), methods=["POST"])
    client = app.test_client()
    assert client.post("/", data=b"x" * 10).text == "10"
    assert client.post("/", data=b"x" * 11).status_code == 413
    with app.test_request_context("/"):
        assert request.max_content_length == 10
        request.max_content_length = 99
        assert request.max_content_length == 99


def test_blueprint_names_are_read_off_the_endpoint() -> None:
    """The innermost blueprint first."""
    app = Dewar("names", static_folder=None)
    app.add_url_rule("/", "outer.inner.view", lambda: "")
    app.add_url_rule("/plain", "plain", lambda: "")
    with app.test_request_context("/"):
        assert (request.blueprint, request.blueprints) == ("outer.inner", ["outer.inner", "outer"])
    with app.test_request_context("/plain"):
        assert (request.endpoint, request.blueprint, request.blueprints) == ("plain", None, [])
    with app.test_request_context("/missing"):
        assert (request.endpoint, request.blueprints) == (None, [])


def test_debug_mode_says_what_is_wrong_with_a_form_or_json() -> None:
    """Otherwise the client learns nothing."""
    app = Dewar("debug", static_folder=None)
    app.add_url_rule("/json", "json", lambda: {"got": request.json}, methods=["POST"])
    app.add_url_rule("/file", "file", lambda: request.files["upload"].filename, methods=["POST"])
    client = app.test_client()
    broken = {"data": "{", "content_type": "application/json"}
    assert "Failed to decode" not in client.post("/json", **broken).text
    assert client.post("/json", data="{}").status_code == 415
    app.debug = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert "Failed to decode" in client.post("/json", **broken).text
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(KeyError, match="no file contents") as caught:
        client.post("/file", data={"upload": "name.txt"})
    assert 'enctype="multipart/form-data"' in str(caught.value)
    answer = client.post("/file", data={"upload": (io.BytesIO(b"x"), "name.txt")})
    assert answer.text == "name.txt"


@pytest.mark.parametrize("way", ["parsed", "overridden", "set"])
def test_files_are_closed_whoever_has_made_them(way: str) -> None:
    """Also a class that parses forms in its own way, and a program that sets them."""

    class Parsing(Request):
        def _load_form_data(self) -> None:
            vars(self)["files"] = MultiDict({"a": file})

    file = FileStorage(io.BytesIO(b"content"), "a.txt")
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\ncontent\r\n--x--\r\n'
    )
    builder = EnvironBuilder(
        method="POST", input_stream=io.BytesIO(body), content_type="multipart/form-data; boundary=x"
    )
    made = (Parsing if way == "overridden" else Request)(builder.get_environ())
    if way == "set":
        made.files = MultiDict({"a": file})  # type: ignore[assignment]  # as good
    found = made.files["a"].stream
    assert not found.closed
    made.close()
    assert found.closed

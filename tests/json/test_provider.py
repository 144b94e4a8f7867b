import gc
import io
import json
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import flask
import pytest
from flask.json.provider import DefaultJSONProvider as FlaskProvider
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.wrappers import Response

from dewar.errors import DewarError
from dewar.json.errors import NotSerializableError
from dewar.json.provider import DefaultJSONProvider, JSONProvider, render


class App:
    response_class = Response
    debug = False


class Html:
    def __html__(self):
        return "<b>"


@dataclass
class Point:
    x: int
    on: date


VALUES = [
    None,
    True,
    1.5,
    float("inf"),
    "text",
    "Grün\u2028\U0001f600",
    [1, (2, 3)],
    {"b": 1, "a": {"d": [], "c": {}}},
    {1: "a", 2: "b"},
    date(2024, 2, 29),
    datetime(2024, 2, 29, 12, 30, 59),  # noqa: DTZ001  # a naive one, on purpose
    datetime(2024, 2, 29, 12, 30, 59, 999, tzinfo=UTC),
    UUID(int=7),
    Decimal("1.10"),
    Point(1, date(2024, 1, 1)),
    Markup("<b>"),
    Html(),
    {"deep": [Point(1, date(2024, 1, 1)), {"of": Html()}]},
]
SETTINGS = [
    {},
    {"sort_keys": False},
    {"ensure_ascii": False},
    {"compact": True},
    {"compact": False},
    {"default": lambda value: "unknown"},
]
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture
def app():
    """An app as a provider sees it."""
    return App()


@pytest.fixture
def provider(app):
    """The provider that an app has by itself."""
    return DefaultJSONProvider(app)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: ",".join(settings) or "none")
@pytest.mark.parametrize("debug", [False, True])
def test_output_is_flasks(app, provider, settings, debug):
    """Text and response are Flask's, for every kind of value and setting."""
    app.debug = debug
    theirs = FlaskProvider(app)
    for name, value in settings.items():
        setattr(provider, name, value)
        setattr(theirs, name, value)
    for value in VALUES:
        assert provider.dumps(value) == theirs.dumps(value)
        assert provider.dumps(value, indent=4) == theirs.dumps(value, indent=4)
        ours, expected = provider.response(value), theirs.response(value)
        assert ours.get_data() == expected.get_data()
        assert list(ours.headers) == list(expected.headers)


@given(plain)
def test_prepared_encoders_write_what_json_writes(value):
    """The prepared encoders are quicker, not different."""
    app = App()
    provider = DefaultJSONProvider(app)
    assert provider.dumps(value) == json.dumps(value, sort_keys=True)
    assert render(provider, value) == (
        json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
    )


def test_without_compiled_encoder_the_text_is_the_same(app, provider, monkeypatch):
    """An interpreter that has no compiled encoder gets the same text from Python's own."""
    expected = [render(provider, value) for value in VALUES]
    monkeypatch.setattr("dewar.json.provider._c_make_encoder", None)
    other = DefaultJSONProvider(app)
    assert [render(other, value) for value in VALUES] == expected


def test_a_changed_setting_counts_at_once(provider):
    """Settings may change after the first use."""
    assert provider.dumps({"b": "ü", "a": 1}) == '{"a": 1, "b": "\\u00fc"}'
    provider.sort_keys = False
    assert provider.dumps({"b": "ü", "a": 1}) == '{"b": "\\u00fc", "a": 1}'
    provider.ensure_ascii = False
    assert provider.dumps({"b": "ü"}) == '{"b": "ü"}'


def test_arguments_of_a_call_come_before_the_settings(provider):
    """What json.dumps takes, a call may give."""
    assert provider.dumps({"b": 1, "a": 2}, sort_keys=False) == '{"b": 1, "a": 2}'
    assert provider.dumps(object(), default=lambda value: 1) == "1"
    assert provider.dumps({(1, 2): 1, "a": 2}, skipkeys=True, sort_keys=False) == '{"a": 2}'


def test_a_subclass_may_define_default_as_a_method(app):
    """A provider for more types overrides `default` and calls what was there."""

    class SetProvider(DefaultJSONProvider):
        def default(self, value):
            if isinstance(value, set):
                return sorted(value)
            return DefaultJSONProvider.default(value)

    provider = SetProvider(app)
    assert provider.dumps({"s": {2, 1}, "d": Decimal(1)}) == '{"d": "1", "s": [1, 2]}'


def test_a_subclass_that_overrides_dumps_is_asked_for_responses(app):
    """Responses go through the provider's own dumps, whatever library is behind it."""

    class Shouting(DefaultJSONProvider):
        def dumps(self, obj, **kwargs):
            return super().dumps(obj, **kwargs).upper()

    assert Shouting(app).response({"a": "b"}).get_data(as_text=True) == '{"A":"B"}\n'


def test_render_is_the_body_of_the_response(app, provider):
    """What `render` gives is exactly what `response` sends, in debug mode too."""
    for app.debug in (False, True):
        for provider.compact in (None, False, True):
            body = provider.response({"a": [1]}).get_data(as_text=True)
            assert render(provider, {"a": [1]}) == body


@pytest.mark.parametrize(
    ("args", "kwargs", "body"),
    [
        ((), {}, "null\n"),
        (([],), {}, "[]\n"),
        ((1, 2), {}, "[1,2]\n"),
        ((), {"a": 1}, '{"a":1}\n'),
    ],
)
def test_response_accepts_one_many_and_keywords(provider, args, kwargs, body):
    """One argument stands for itself, several are a list, keywords are a dict."""
    assert provider.response(*args, **kwargs).get_data(as_text=True) == body


def test_response_refuses_a_mixture(provider):
    """Arguments of both kinds have no meaning together."""
    with pytest.raises(TypeError, match="either args or kwargs") as caught:
        provider.response(1, a=2)
    assert isinstance(caught.value, DewarError)


def test_the_mimetype_can_be_changed(provider):
    """A provider may serve a kind of JSON."""
    provider.mimetype = "application/vnd.api+json"
    assert provider.response(1).mimetype == "application/vnd.api+json"
    assert repr(provider) == "<DefaultJSONProvider application/vnd.api+json>"


@pytest.mark.parametrize(
    "value", [object(), {1}, Point, b"bytes"], ids=["object", "set", "class", "bytes"]
)
def test_an_unknown_type_is_named(provider, value):
    """A value without a JSON form is a TypeError that names its type and the way out."""
    with pytest.raises(TypeError, match=r"is not JSON serializable.*app\.json\.default") as caught:
        provider.dumps({"a": [value]})
    assert type(value).__name__ in str(caught.value)
    assert isinstance(caught.value, NotSerializableError)
    assert caught.value.value is value


def test_an_object_inside_itself_is_named(provider):
    """A circle is json's own clear error, in every layout."""
    value = {}
    value["self"] = [value]
    for layout in ({}, {"separators": (",", ":")}, {"indent": 2}):
        with pytest.raises(ValueError, match="Circular reference"):
            provider.dumps(value, **layout)


def test_two_threads_may_write_one_object_at_a_time(provider):
    """A prepared encoder that is busy with an object can be given the same object again."""
    inside = threading.Barrier(2, timeout=10)
    provider.default = lambda value: [inside.wait() >= 0]
    shared, texts = {"a": [object()]}, []
    threads = [
        threading.Thread(target=lambda: texts.append(provider.dumps(shared))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert texts == ['{"a": [[true]]}'] * 2


def test_files_are_written_and_read(provider):
    """Writing and reading work on open files, text or bytes."""
    file = io.StringIO()
    provider.dump({"a": 1}, file)
    file.seek(0)
    assert provider.load(file) == {"a": 1}
    assert provider.load(io.BytesIO(b'{"a": 1}')) == {"a": 1}
    assert provider.loads(b"1.5", parse_float=Decimal) == Decimal("1.5")


encoded = st.tuples(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                '"a"',
                ":",
                ",",
                "1",
                " ",
                "\n",
                "\x0b",
                "\0",
                "NaN",
                '"é',
                "\ufeff",
            ]
        ),
        max_size=9,
    ).map("".join)
    | st.recursive(st.integers() | st.text(), st.lists, max_leaves=4).map(json.dumps),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "latin-1"]),
).map(lambda both: both[0].encode(both[1], "ignore"))


@settings(max_examples=500)
@given(encoded | st.binary(max_size=6))
@example(b"{} \r\n\t")
@example(b"{}\x0b")
@example(b"[]x")
@example(b'["\xed\xa0\x80"]')
@example(b"{\0x")
def test_bytes_are_read_as_json_reads_them(data):
    """With every encoding, with space around the value, and with what is wrong."""
    assert outcome(DefaultJSONProvider(App()).loads, data) == outcome(json.loads, data)


def outcome(loads, data):
    try:
        return repr(loads(data))
    except ValueError as error:
        return f"{type(error)}: {error}"


def test_a_provider_does_not_keep_its_app():
    """The app owns the provider, and goes when nobody else holds it."""
    app = App()
    app.json = DefaultJSONProvider(app)
    app.json.dumps(1)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


def test_a_subclass_needs_dumps_and_loads_only(app):
    """The rest of a provider follows from two methods, which it says when they are missing."""

    class Lines(JSONProvider):
        def dumps(self, obj, **kwargs):
            return repr(obj)

        def loads(self, s, **kwargs):
            return s.strip()

    provider, file = Lines(app), io.StringIO()
    provider.dump([1], file)
    assert file.getvalue() == "[1]"
    assert provider.load(io.StringIO(" x ")) == "x"
    assert provider.response([1]).get_data() == b"[1]"
    with pytest.raises(NotImplementedError, match=r"JSONProvider is incomplete.*def dumps"):
        JSONProvider(app).dumps(1)
    with pytest.raises(NotImplementedError, match="def loads"):
        JSONProvider(app).loads("1")


def test_a_flask_app_can_use_the_provider():
    """The interface is Flask's: Flask itself runs on it."""
    app = flask.Flask("shop")
    app.json = DefaultJSONProvider(app)
    app.add_url_rule("/", view_func=lambda: {"at": date(2024, 1, 1)})
    assert app.test_client().get("/").json == {"at": "Mon, 01 Jan 2024 00:00:00 GMT"}

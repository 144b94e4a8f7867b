import json
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from flask import Flask
from flask.json.tag import TaggedJSONSerializer as FlaskSerializer
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from dewar import Dewar
from dewar.json.errors import NotSerializableError, TagTakenError
from dewar.json.tagged import JSONTag, TaggedJSONSerializer, through

TAGS = [" t", " b", " m", " u", " d", " di"]
keys = st.text() | st.sampled_from([*TAGS, *(f"{tag}__" for tag in TAGS)])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.text().map(Markup)
    | st.integers(0, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
)


def shape(value):
    """The types all the way down: `==` alone takes markup for a string."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    return type(value)


@pytest.fixture
def serializer():
    """A serializer with the tags it has by itself."""
    return TaggedJSONSerializer()


@given(values)
def test_what_goes_in_comes_out(value):
    """Every value comes back equal and of the same types, dicts that look like tags as well."""
    serializer = TaggedJSONSerializer()
    back = serializer.loads(serializer.dumps(value))
    assert back == value
    assert shape(back) == shape(value)


@given(values)
def test_the_text_is_flasks(value):
    """Dewar writes what Flask writes and reads what Flask reads."""
    ours, theirs = TaggedJSONSerializer(), FlaskSerializer()
    text = theirs.dumps(value)
    assert ours.dumps(value) == text
    assert ours.loads(text) == theirs.loads(text)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    )
)
def test_strange_text_is_read_as_flask_reads_it(value):
    """JSON that nobody tagged gives Flask's value, or an error where Flask has one."""
    text = json.dumps(value)
    try:
        expected = FlaskSerializer().loads(text)
    except Exception:
        with pytest.raises(Exception):  # noqa: B017, PT011  # any error; the cookie is refused
            TaggedJSONSerializer().loads(text)
    else:
        assert TaggedJSONSerializer().loads(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2), '{" t":[1,2]}'),
        (b"x", '{" b":"eA=="}'),
        (Markup("<b>"), '{" m":"<b>"}'),
        (UUID(int=1), '{" u":"00000000000000000000000000000001"}'),
        (datetime(2024, 2, 29, tzinfo=UTC), '{" d":"Thu, 29 Feb 2024 00:00:00 GMT"}'),
        ({" t": 1}, '{" di":{" t__":1}}'),
        ({" di": {" di": ()}}, '{" di":{" di__":{" di":{" di__":{" t":[]}}}}}'),
        ({" t": 1, "b": 2}, '{" t":1,"b":2}'),
    ],
)
def test_the_wire_format(serializer, value, text):
    """Each tagged type, as it stands in a cookie."""
    assert serializer.dumps(value) == text
    assert serializer.loads(text) == value


def test_a_datetime_comes_back_in_utc(serializer):
    """The moment is kept, to the second; its time zone is not."""
    moment = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    back = serializer.loads(serializer.dumps(moment))
    assert back == moment
    assert back.tzinfo == UTC


class TagOrderedDict(JSONTag):
    __slots__ = ()
    key = " od"

    def check(self, value):
        return isinstance(value, OrderedDict)

    def to_json(self, value):
        return [[key, self.serializer.tag(item)] for key, item in value.items()]

    def to_python(self, value):
        return OrderedDict(value)


def test_a_tag_of_ones_own(serializer):
    """A special kind of dict is registered before the tag for dicts."""
    serializer.register(TagOrderedDict, index=0)
    value = OrderedDict([("z", (1,)), ("a", b"")])
    back = serializer.loads(serializer.dumps({"d": value}))
    assert back == {"d": value}
    assert isinstance(back["d"], OrderedDict)
    assert " od" in repr(serializer)


def test_a_taken_key_is_refused_unless_forced(serializer):
    """Two meanings of one key are a mistake, or a decision."""

    class Mine(TagOrderedDict):
        __slots__ = ()
        key = " t"

    with pytest.raises(KeyError) as caught:
        serializer.register(Mine)
    assert isinstance(caught.value, TagTakenError)
    assert str(caught.value).startswith("Tag ' t' is already registered. Give your tag")
    serializer.register(Mine, force=True, index=0)
    assert isinstance(serializer.tags[" t"], Mine)
    assert repr(serializer.tags[" t"]) == "<Mine ' t'>"


def test_serializers_keep_their_tags_to_themselves(serializer):
    """A tag registered with one serializer is unknown to all others."""
    serializer.register(TagOrderedDict)
    assert " od" not in TaggedJSONSerializer().tags


def test_through_writes_by_way_of_another_library(serializer):
    """The tags are shared, those of later too; the text is the library's."""

    class Sorted:
        def dumps(self, obj, *, separators):
            return json.dumps(obj, sort_keys=True, separators=separators)

        def loads(self, s):
            return json.loads(s)

    other = through(serializer, Sorted())
    serializer.register(TagOrderedDict, index=0)
    assert other.dumps({"b": (), "a": OrderedDict()}) == '{"a":{" od":[]},"b":{" t":[]}}'
    assert serializer.dumps({"b": 1, "a": 2}) == '{"b":1,"a":2}'
    assert other.loads('{" od":[]}') == OrderedDict()


@pytest.mark.parametrize(
    ("app", "made"),
    [(Dewar("kept"), TaggedJSONSerializer()), (Flask("kept"), FlaskSerializer())],
    ids=["dewar", "flask"],
)
def test_the_current_app_writes_the_text(app, made):
    """Extensions keep one serializer for all apps, and its text has what an app's JSON can have."""
    app.json.default = lambda value: sorted(value)
    with app.app_context():
        assert made.dumps({"b": {2, 1}, "a": 0}) == '{"a":0,"b":[1,2]}'
        app.json.loads = lambda text: {" t": [text]}
        assert made.loads("{}") == ("{}",)
    assert made.dumps({"b": 1, "a": 0}) == '{"b":1,"a":0}'


def test_untag_looks_at_one_dict_only(serializer):
    """Custom loaders call `untag` on what they have already looked through."""
    assert serializer.untag({" t": [{" b": ""}]}) == ({" b": ""},)
    assert serializer.untag({" t": [], "a": 1}) == {" t": [], "a": 1}
    assert serializer.untag({}) == {}


def test_an_unknown_type_is_named(serializer):
    """What neither a tag nor JSON knows is an error with the type in it."""
    with pytest.raises(NotSerializableError, match="object"):
        serializer.dumps({"a": [object()]})


def test_a_bare_tag_has_everything_to_write(serializer):
    """The base class promises nothing."""
    tag = JSONTag(serializer)
    for method in (tag.check, tag.to_json, tag.to_python, tag.tag):
        with pytest.raises(NotImplementedError):
            method(1)


def copying_serializer():
    """One that puts everything into the form that is written, whether it needs a tag or not."""
    serializer = TaggedJSONSerializer()
    serializer._dewar_shipped = None
    return serializer


@given(values)
def test_what_needs_no_tag_is_written_as_it_is(value):
    """The text is the same as without the short way."""
    assert TaggedJSONSerializer().dumps(value) == copying_serializer().dumps(value)


class Loud(str):
    """A string of the program, with markup."""

    __slots__ = ()

    def __html__(self):
        return f"<b>{self}</b>"


class TagNumber(JSONTag):
    """A tag for a type that JSON can write."""

    __slots__ = ()
    key = " n"

    def check(self, value):
        return isinstance(value, int)

    def to_json(self, value):
        return str(value)

    def to_python(self, value):
        return int(value)


@pytest.mark.parametrize("value", [Loud("a"), [Loud("a")], {"a": {"b": Loud("a")}}])
def test_a_subclass_may_need_a_tag(value):
    """It is not taken for its base."""
    assert '{" m":"<b>a</b>"}' in TaggedJSONSerializer().dumps(value)


@pytest.mark.parametrize("how", ["register", "order", "class", "tag", "patch"])
def test_a_tag_for_what_json_can_write_is_used(serializer, monkeypatch, how):
    """Wherever it is put, also after the serializer has been used."""
    assert serializer.dumps({"a": 1}) == '{"a":1}'
    if how == "register":
        serializer.register(TagNumber, index=0)
    elif how == "order":
        serializer.order.insert(0, TagNumber(serializer))
    elif how == "class":
        tags = (TagNumber, *TaggedJSONSerializer.default_tags)
        serializer = type("Own", (TaggedJSONSerializer,), {"default_tags": tags})()
    else:

        def tag(self, value):
            return {"a": {" n": "1"}}

        if how == "tag":
            serializer = type("Own", (TaggedJSONSerializer,), {"tag": tag})()
        else:
            monkeypatch.setattr(TaggedJSONSerializer, "tag", tag)
    assert serializer.dumps({"a": 1}) == '{"a":{" n":"1"}}'
    assert through(serializer, json).dumps({"a": 1}) == '{"a":{" n":"1"}}'


def test_what_is_read_is_not_kept_by_the_reader():
    """A provider may remember what it has read; it is not changed with the session."""

    class Remembering:
        kept = json.loads('{"a": {"b": 1}, "c": [2]}')

        def loads(self, text):
            return self.kept

    read = through(TaggedJSONSerializer(), Remembering()).loads("")
    assert read == Remembering.kept
    read["a"]["b"], read["c"][0] = 5, 5
    assert Remembering.kept == {"a": {"b": 1}, "c": [2]}

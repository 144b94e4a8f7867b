import json
import math
import re
from collections import OrderedDict, defaultdict, deque
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar import Dewar
from dewar.tasks.errors import Unreadable, Unserializable
from dewar.tasks.ledger.columns import clean
from dewar.tasks.serialization.json_types import MAX_DEPTH
from dewar.tasks.serialization.values import pack, pack_arguments, plain, unpack, unpack_arguments
from exactvalues import EXACT, assert_same


class Colour(Enum):
    RED = "red"
    PAIR = (1, 2)


class Rights(Flag):
    READ = 1
    WRITE = 2


class Size(IntEnum):
    SMALL = 1


class Name(StrEnum):
    ADA = "ada"


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = 0.0


@dataclass
class Order:
    id: UUID
    lines: list[Point] = field(default_factory=list)
    total: Decimal = field(init=False, default=Decimal(0))

    def __post_init__(self):
        self.note = "made"


@dataclass
class Strict:
    twice: int
    factor: InitVar[int]

    def __post_init__(self, factor):
        self.twice = self.twice * factor


class Outer:
    @dataclass
    class Inner:
        """In another class."""

        n: int


class Pair(NamedTuple):
    a: int
    b: int


@dataclass
class Tags:
    tags: str

    def __post_init__(self):
        self.tags = self.tags.split(",")


class Plain:
    """No dataclass, no enum."""


keys = st.text(max_size=5) | st.sampled_from(["$tuple", "$dict", "$", "$dataclass", "a"])
zones = (
    st.none()
    | st.sampled_from(
        [UTC, timezone(timedelta(hours=-3, minutes=-30)), timezone(timedelta(0), "Z")]
    )
    | st.timezones()
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.builds(
        lambda at, fold: at.replace(fold=fold), st.datetimes(timezones=zones), st.integers(0, 1)
    )
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.sampled_from([*Colour, Size.SMALL, Name.ADA, Rights.READ, Rights.READ | Rights.WRITE])
    | st.builds(Point, st.floats(allow_nan=False), st.integers())
    | st.text("abc/", min_size=1, max_size=5).map(Path)
)
hashables = st.recursive(
    st.integers() | st.text(max_size=3) | st.uuids() | st.dates(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.dictionaries(hashables, inner, max_size=4).map(OrderedDict)
        | st.builds(Pair, inner, inner)
        | st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(4, 5))
        | st.sets(hashables, max_size=4)
        | st.frozensets(hashables, max_size=4)
    ),
    max_leaves=20,
)


def shape(value):
    """The types all the way down: `==` alone takes True for 1."""
    if isinstance(value, dict):
        return type(value), [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return type(value), [shape(item) for item in value], getattr(value, "maxlen", None)
    if isinstance(value, (datetime, time)):
        return type(value), value.isoformat(), value.fold, repr(value.tzinfo)
    return type(value)


@pytest.fixture(scope="module")
def provider():
    """The JSON provider of an app."""
    app = Dewar("values", static_folder=None)
    return app.json


@given(values)
def test_what_is_packed_comes_back(value):
    """Every value comes back equal, of the same types and in order, whatever it looks like."""
    back = unpack(pack(value))
    assert back == value
    assert shape(back) == shape(value)


@given(values)
def test_an_apps_provider_writes_it_as_well(provider, value):
    """The app's own JSON is used, and gives the same back."""
    assert unpack(pack(value, provider.dumps), provider.loads) == value


@given(values)
def test_the_text_is_json(value):
    """It has no NaN or Infinity, which other readers refuse."""

    def refuse(name):
        raise AssertionError(name)

    json.loads(pack(value), parse_constant=refuse)


@given(values)
def test_the_public_form_is_json(value):
    """The public form has only JSON's types, with str keys."""
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_come_back(number):
    """JSON does not have them, so they are tagged."""
    back = unpack(pack([number, 1.5]))
    assert repr(back) == repr([number, 1.5])
    assert plain([number, 1.5]) == [None, 1.5]


def test_plain_data_is_written_as_it_is():
    """If no part needs a tag, the object itself goes to `dumps`."""
    seen = []
    value = {"rows": [{"a": 1, "b": [1.5, None, True]}] * 3}
    pack(value, lambda given: seen.append(given) or "{}")
    assert seen[0] is value
    assert plain(value) is value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2), '{"$tuple": [1, 2]}'),
        ({"$tuple": 1}, '{"$dict": [["$tuple", 1]]}'),
        ({1: "a"}, '{"$dict": [[1, "a"]]}'),
        (b"\0\1", '{"$bytes": "AAE="}'),
        (
            datetime.fromisoformat("2026-01-02T03:04:05.000006"),
            '{"$datetime": "2026-01-02T03:04:05.000006"}',
        ),
        (timedelta(-1, 5), '{"$timedelta": [-1, 5, 0]}'),
        (Rights.READ | Rights.WRITE, f'{{"$enum": ["{__name__}:Rights", 3]}}'),
        (Outer.Inner(1), f'{{"$dataclass": ["{__name__}:Outer.Inner", {{"n": 1}}]}}'),
    ],
)
def test_the_form_stays(value, text):
    """A text from an older ledger is read in the same way."""
    assert pack(value) == text
    assert unpack(text) == value


def test_a_dataclass_comes_back_as_it_was():
    """All fields are kept, also those that its constructor does not take."""
    order = Order(UUID(int=1), [Point(1.5)])
    order.total = Decimal("9.90")
    back = unpack(pack(order))
    assert back == order
    assert back.total == Decimal("9.90")
    assert back.note == "made"


def test_a_dataclass_with_another_constructor_comes_back():
    """A constructor with other arguments is not called."""
    assert unpack(pack(Strict(2, 3))).twice == 6


@pytest.mark.parametrize("value", EXACT, ids=repr)
def test_a_value_comes_back_as_it_was(value):
    """Of the same class, with its zone, fold and order."""
    assert_same(unpack(pack(value)), value)


class Bag(dict):
    """A dict of the program's."""


class Here(tzinfo):
    """A zone of the program's."""

    def utcoffset(self, _moment):
        return timedelta(hours=1)

    dst = utcoffset


class Moment(datetime):
    """A datetime of the program's."""


class Extended(Pair):
    """A named tuple with a place for attributes."""


@dataclass
class Listed(list):
    """A dataclass that is a list as well."""

    n: int = 0


def with_attribute():
    pair = Extended(1, 2)
    pair.note = "lost"
    return pair


def zone_without_a_key():
    """A TZif file (RFC 8536) with one type, UTC, and no transitions."""
    counts = (0, 0, 0, 0, 1, 4)
    head = b"TZif" + bytes(16) + b"".join(count.to_bytes(4, "big") for count in counts)
    return ZoneInfo.from_file(BytesIO(head + bytes(6) + b"UTC\0"))


CHANGED = [
    type("Text", (str,), {})("a"),
    Bag(a=1),
    defaultdict(list),
    type("Many", (list,), {})(),
    type("Whole", (int,), {})(1),
    type("Real", (float,), {})(1.0),
    type("Raw", (bytes,), {})(b""),
    type("Few", (set,), {})(),
    type("Amount", (Decimal,), {})(1),
    type("Span", (timedelta,), {})(1),
    type("Row", (tuple,), {})((1,)),
    type("Row", (OrderedDict,), {})(),
    Moment(2026, 1, 1),
    Listed(),
    with_attribute(),
    NamedTuple("Unknown", [("a", int)])(1),
    datetime(2026, 1, 1, tzinfo=Here()),
    time(9, tzinfo=Here()),
    datetime(2026, 1, 1, tzinfo=zone_without_a_key()),
    "\ud83d\ude00",
    {"\ud83d\ude00": 1},
    10**5000,
    object(),
]


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: {"rows": [1, (v,)]}, lambda v: {"a": Point(v)}]
)
@pytest.mark.parametrize("value", CHANGED, ids=lambda value: type(value).__name__)
def test_what_would_come_back_as_something_else_is_refused(provider, value, wrap):
    """The error names the place, by either JSON."""
    wrapped = wrap(value)
    path = {"dict": r"result\.(rows\[1\]\[0\]|a\.x)"}.get(type(wrapped).__name__, "result")
    with pytest.raises(Unserializable, match=f"^{path if wrapped is not value else 'result'}[ (.]"):
        pack(wrapped, path="result")
    if type(value) is not object:
        with pytest.raises(Unserializable):
            pack(wrapped, provider.dumps)


@given(st.text(st.characters(), max_size=6) | st.lists(st.text(st.characters(), max_size=3)))
def test_a_text_of_any_characters_comes_back_or_is_refused(value):
    """Through a JSON that writes no escapes too, and the database takes all of it."""
    for dumps in (json.dumps, partial(json.dumps, ensure_ascii=False)):
        try:
            text = pack(value, dumps)
        except Unserializable:
            assert any(
                re.search("[\ud800-\udbff][\udc00-\udfff]", part)
                for part in [*value, value]
                if isinstance(part, str)
            )
        else:
            assert clean(text) == text
            assert unpack(text) == value


def test_a_dataclass_that_converts_comes_back_as_it_was():
    """Its constructor, which takes something else, is not needed."""
    tags = Tags("a,b")
    assert unpack(pack(tags)) == tags
    assert unpack(pack(tags)).tags == ["a", "b"]


def test_a_dataclass_of_another_version_is_read():
    """A field that the writer did not have has its default."""
    assert unpack(f'{{"$dataclass": ["{__name__}:Point", {{"x": 2}}]}}') == Point(2, 0.0)


def test_the_default_of_the_provider_is_asked():
    """An unknown type comes back as the provider wrote it."""
    app = Dewar("values", static_folder=None)
    app.json.default = lambda value: f"a {type(value).__name__}"
    assert unpack(pack([Plain(), (1,)], app.json.dumps)) == ["a Plain", (1,)]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Plain(), "result "),
        ({"rows": [1, 2, 3, Order(Plain())]}, "result.rows[3].id "),
        ({"a b": (1, Plain())}, "result['a b'][1] "),
        ({1: Plain()}, "result[1] "),
        ({"ok": 1, "bad": {Plain}}, "result.bad[*] "),
        ([{(1, Plain): 2}], "result[0] (the key (1, <class"),
    ],
)
def test_a_value_without_a_form_is_named(value, path):
    """The message has the path to it and says what to do."""
    with pytest.raises(Unserializable) as caught:
        pack(value, path="result")
    assert str(caught.value).startswith(path)
    assert "has no JSON form" in str(caught.value)


def test_arguments_are_named_as_in_the_call():
    """By their place, or by their name."""
    with pytest.raises(Unserializable, match=r"^arguments\.args\[1\] is of type Plain"):
        pack_arguments((1, Plain()), {})
    with pytest.raises(Unserializable, match=r"^arguments\.kwargs\.user\.of is of type Plain"):
        pack_arguments((1,), {"user": {"of": Plain()}})


def test_arguments_come_back():
    """As a tuple and a dict, ready for a call."""
    assert unpack_arguments(pack_arguments((1, (2,)), {"$x": b"3"})) == ((1, (2,)), {"$x": b"3"})


def test_a_value_in_itself_is_refused():
    """The message has the path, and there is no RecursionError."""
    rows = [1]
    rows.append({"again": rows})
    for write in (pack, plain):
        with pytest.raises(Unserializable, match=r"^value\[1\].again contains itself"):
            write(rows)
    order = Order(1)
    order.lines.append((order,))
    for write in (pack, plain):
        with pytest.raises(Unserializable, match=r"^value\.lines\[0\]\[0\] contains itself"):
            write(order)
    with pytest.raises(Unserializable, match=r"^value\[1\].again\[1\] contains itself"):
        pack([*rows, Plain()])


def nested(levels, inside, wrap):
    value = inside
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: {"k": v}, lambda v: (v,), Point, lambda v: Order(v, ())]
)
def test_depth_has_a_bound(wrap):
    """A packed value can be unpacked; a deeper one is refused with a short message."""
    deep = nested(MAX_DEPTH, 1, wrap)
    assert unpack(pack(deep)) == deep
    with pytest.raises(Unserializable, match="containers deep") as caught:
        pack(nested(MAX_DEPTH * 20, 1, wrap))
    assert len(str(caught.value)) < 300


def test_a_class_that_is_not_found_by_its_name_is_refused():
    """Nobody could make it again."""

    @dataclass
    class Local:
        n: int

    with pytest.raises(Unserializable, match=r"^result\[0\] is of the class .*Define it at the"):
        pack([Local(1)], path="result")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"$new": 1}', "not a tag of this version"),
        ('{"$dataclass": ["no.such.module:A", {}]}', "cannot be imported"),
        (f'{{"$namedtuple": ["{__name__}:Pair", {{"a": 1}}]}}', "has other fields"),
        (f'{{"$namedtuple": ["{__name__}:Plain", {{}}]}}', "is not a named tuple"),
        ('{"$datetime": ["2026-01-01T00:00:00", 0, "Moon/Tycho"]}', "Moon/Tycho"),
        ('{"$datetime": ["2026-01-01T00:00:00", 0, "America"]}', "cannot be read"),
        ("no JSON", "cannot be read"),
        (f'{{"$dataclass": ["{__name__}:Gone", {{}}]}}', "moved or renamed"),
        (f'{{"$dataclass": ["{__name__}:Plain", {{}}]}}', "is not a dataclass"),
        ('{"$dataclass": ["subprocess:Popen", {"args": "true"}]}', "is not a dataclass"),
        ('{"$dataclass": ["os:system", {}]}', "moved or renamed"),
        ('{"$enum": ["builtins:int", "1"]}', "is not an enum"),
        (f'{{"$enum": ["{__name__}:Colour", "BLUE"]}}', "cannot be read"),
        ('{"$dataclass": ["", {}]}', "cannot be imported"),
        ('{"$uuid": 7}', "cannot be read"),
        ('{"$decimal": "x"}', "cannot be read"),
        ('{"$tuple": 3}', "cannot be read"),
    ],
)
def test_only_dataclasses_and_enums_are_made(text, message):
    """A text that names anything else is refused, and so is one that makes no sense."""
    with pytest.raises(Unreadable, match=message):
        unpack(text)


def test_the_public_form():
    """Another program needs no knowledge of Python to read it."""
    order = Order(UUID(int=1), [Point(1)])
    shown = plain(
        {
            "order": order,
            "when": datetime(2026, 1, 2, tzinfo=UTC),
            "day": date(2026, 1, 2),
            "time": time(3, 4),
            "took": timedelta(minutes=1.5),
            "raw": b"\0",
            "tags": ("a", Colour.RED),
            "size": Size.SMALL,
            "where": Path("a/b"),
            7: None,
            True: {Name.ADA: 1},
        }
    )
    assert shown == {
        "order": {
            "id": "00000000-0000-0000-0000-000000000001",
            "lines": [{"x": 1, "y": 0.0}],
            "total": "0",
        },
        "when": "2026-01-02T00:00:00+00:00",
        "day": "2026-01-02",
        "time": "03:04:00",
        "took": 90.0,
        "raw": "AA==",
        "tags": ["a", "red"],
        "size": 1,
        "where": "a/b",
        "7": None,
        "true": {"ada": 1},
    }


def test_the_public_form_leaves_what_it_does_not_know():
    """The app's provider may know it."""
    thing = Plain()
    assert plain({"a": [thing]}) == {"a": [thing]}

"""Values that are easily brought back as something else: zones, folds, classes, order."""

from collections import Counter, OrderedDict, deque
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup


class Pair(NamedTuple):
    """A named tuple that every process finds."""

    a: Any
    b: Any


_BERLIN = ZoneInfo("Europe/Berlin")

EXACT: tuple[Any, ...] = (
    OrderedDict(b=1, a=2),
    Counter("aab"),
    deque([1, (2,)], maxlen=3),
    deque(),
    Pair(1, 2),
    [Pair((1,), {"k": Pair(b"", None)})],
    Markup("<b>"),
    {Markup("k"): 1},
    datetime(2026, 7, 1, tzinfo=_BERLIN),
    datetime.fromisoformat("2026-10-25T02:30").replace(fold=1),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=_BERLIN),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=1), "BST")),
    datetime(2026, 7, 1, tzinfo=timezone(timedelta(seconds=1, microseconds=7))),
    time(9, tzinfo=_BERLIN),
    time(9, fold=1, tzinfo=UTC),
    ZoneInfo("Asia/Kathmandu"),
    UTC,
    Decimal("-0E+7"),
    -0.0,
    "\ud83d",
    {"\udc80": "\0"},
    "\ude00\ud83d",
    "\U0001f600",
)


def assert_same(back: Any, value: Any) -> None:
    """Check that a value is as it was: equal, of the same class, and with the same repr."""
    assert type(back) is type(value)
    assert back == value
    assert repr(back) == repr(value)

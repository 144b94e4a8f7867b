"""A moment in the past, as it is typed."""

import time
from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.cli.moments import MomentType, moment_of

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800), ("2w", 1209600), ("0.5d", 43200)],
)
def test_an_age_is_counted_from_now(text: str, seconds: float) -> None:
    """In seconds, minutes, hours, days and weeks."""
    assert moment_of(text, NOW) == NOW - seconds


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (" 2026-01-31 12:00:00Z ", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_date_is_in_utc_where_it_has_no_zone(text: str, date: datetime) -> None:
    """Wherever the command is given."""
    assert moment_of(text, NOW) == date.timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "7", "7 days", "-7d", "2026-13-01", "yesterday", "2999-01-01", "999999w", "9" * 400 + "w"],
)
def test_what_is_no_moment_in_the_past_is_refused(text: str) -> None:
    """The future too, and what is before all dates."""
    with pytest.raises(click.BadParameter, match="Write an age, as in '7d'"):
        MomentType().convert(text, None, None)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_a_usage_error(text: str) -> None:
    """Nothing that is typed ends with a traceback."""
    try:
        moment = MomentType().convert(text, None, None)
    except click.BadParameter:
        return
    assert moment <= time.time()

"""Sizes and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.support.units import format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("512k", 512 * 1024),
        ("512K", 512 * 1024),
        ("1M", 1024**2),
        ("1.5M", 3 * 1024**2 // 2),
        ("1GiB", 1024**3),
        ("2 TiB", 2 * 1024**4),
        (" 8kib ", 8192),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_a_size_may_have_a_unit(text: str, size: int) -> None:
    """k, M, G and T are powers of 1024, and no digit of a large number is lost."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1MB", "1kb", "0.3", "1.2.3", "1e3", "٣", "none"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """MB is one number to some and another to others; a part of a byte is none."""
    with pytest.raises(ValueError, match=r"."):
        parse_size(text or "?")


@given(st.integers(min_value=0, max_value=1024**5))
def test_a_size_is_shown_as_it_is_read(size: int) -> None:
    """What `format_size` writes stands for the same number."""
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("1.5", 1.5),
        (".5", 0.5),
        ("500ms", 0.5),
        ("2m", 120),
        ("1h", 3600),
        ("1 d", 86400),
        ("3S", 3),
    ],
)
def test_a_duration_may_have_a_unit(text: str, seconds: float) -> None:
    """Seconds where there is none."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "m", "1 week", "1e3", "1m30s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nor is what float() would take for a number."""
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)

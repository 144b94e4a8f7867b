"""Sizes and durations as people write them: ``512k``, ``1GiB``, ``500ms``, ``2m``."""

import re

# As in the configuration of nginx and Apache, k is 1024. KB and MB are ambiguous and not accepted.
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(?:ib)?)?", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?(ms|s|m|h|d)?", re.ASCII | re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: str) -> int:
    """Return the bytes that ``65536``, ``512k``, ``1.5M`` or ``1GiB`` stands for.

    Raises:
        ValueError: The text is not valid, or not a whole number of bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    number, unit = match[1], (match[2] or "").lower()
    whole, _, fraction = number.partition(".")
    # With integers, because floats are not exact for large sizes.
    scaled = int(whole + fraction) * _FACTORS[unit]
    size, rest = divmod(scaled, int(f"1{'0' * len(fraction)}"))
    if rest:
        raise ValueError(text)
    return size


def parse_duration(text: str) -> float:
    """Return the seconds that ``30``, ``1.5``, ``500ms``, ``2m``, ``1h`` or ``1d`` stands for.

    Raises:
        ValueError: The text is not valid.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _SECONDS[(match[2] or "s").lower()]


def format_size(size: int) -> str:
    """Return *size* in the largest unit that gives a whole number."""
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)

"""Medians, percentiles, ratios and spreads."""

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the median, which outliers affect less than a mean.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("There is no median, because every round of this row failed.")
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of all values do not exceed.

    Raises:
        ValueError: If there are no values, or the percentage is not from 0 to 100.
    """
    if not values:
        raise ValueError("There is no percentile of no values.")
    if not 0 <= percent <= 100:
        raise ValueError(f"A percentile is a number from 0 to 100, not {percent!r}.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(figure: float | None, baseline: float | None) -> float | None:
    """Return ``figure / baseline``, or None if one of them is missing or the baseline is 0."""
    if figure is None or not baseline:
        return None
    return figure / baseline


def spread(values: Sequence[float]) -> float:
    """Return the relative spread of the values: ``(largest - smallest) / median``."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0

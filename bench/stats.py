"""The few figures a bench needs: medians, percentiles, ratios."""

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the middle value; a noisy neighbour moves it less than it moves a mean.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("No values to take a median of: every round of this row failed.")
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of all values do not exceed.

    Raises:
        ValueError: There are no values, or the percentage is outside 0 to 100.
    """
    if not values:
        raise ValueError("No values to take a percentile of.")
    if not 0 <= percent <= 100:
        raise ValueError(f"A percentile lies between 0 and 100, not at {percent!r}.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(figure: float | None, baseline: float | None) -> float | None:
    """Return ``figure / baseline``, or None where one of them is missing or the baseline is 0."""
    if figure is None or not baseline:
        return None
    return figure / baseline


def spread(values: Sequence[float]) -> float:
    """Return how far apart the values lie: ``(largest - smallest) / median``."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0

import pytest

from bench import stats


def test_median_ignores_one_noisy_round():
    """One wild round does not move the figure."""
    assert stats.median([10.0, 11.0, 900.0]) == 11.0


def test_median_of_nothing_says_why():
    """No rounds is a mistake that is named, not a zero."""
    with pytest.raises(ValueError, match="every round"):
        stats.median([])


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (50, 50.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_percentile_is_a_value_that_was_seen(percent, expected):
    """A percentile is the smallest value that so many values do not exceed."""
    assert stats.percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_percentile_refuses_what_it_cannot_answer():
    """Neither an empty list nor 101 percent has a percentile."""
    with pytest.raises(ValueError, match="no values"):
        stats.percentile([], 99)
    with pytest.raises(ValueError, match="101"):
        stats.percentile([1.0], 101)


def test_ratio_is_none_where_there_is_nothing_to_divide():
    """A missing figure or a missing baseline gives no ratio instead of an error."""
    assert stats.ratio(6.0, 3.0) == 2.0
    assert stats.ratio(None, 3.0) is None
    assert stats.ratio(6.0, None) is None
    assert stats.ratio(6.0, 0.0) is None

"""What the values of settings should be."""

from math import nan

import pytest

from dewar.support.setting_values import maybe_expected


@pytest.mark.parametrize(
    ("value", "kind"), [(True, bool), (False, bool), (1, int), (1, float), (0.5, float)]
)
def test_a_value_of_its_kind_is_fine(value: object, kind: type) -> None:
    """A whole number is a number too."""
    assert maybe_expected(value, kind) is None


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("no", bool, "True or False"),
        ("", bool, "True or False"),
        (1, bool, "True or False"),
        (None, bool, "True or False"),
        ("4", int, "a whole number greater than 0"),
        (1.5, int, "a whole number greater than 0"),
        (True, int, "a whole number greater than 0"),
        (0, int, "a whole number greater than 0"),
        ("0.5", float, "a number greater than 0"),
        (False, float, "a number greater than 0"),
        (nan, float, "a number greater than 0"),
        (-1, float, "a number greater than 0"),
    ],
)
def test_any_other_value_is_told_what_it_should_be(
    value: object, kind: type, expected: str
) -> None:
    """Also one that Python takes for the same, such as True for 1, or "no" for true."""
    assert maybe_expected(value, kind) == expected


def test_a_number_may_be_zero_where_that_makes_sense() -> None:
    """But not less."""
    assert maybe_expected(0, float, or_zero=True) is None
    assert maybe_expected(0.5, float, or_zero=True) is None
    for value in (-1, nan, "0", False):
        assert maybe_expected(value, float, or_zero=True) == "a number that is not negative"

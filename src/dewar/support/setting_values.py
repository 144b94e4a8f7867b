"""What the value of a setting should be."""


def maybe_expected(value: object, kind: object, or_zero: bool = False) -> str | None:
    """Return what a setting should be, for an error, or None if its value is that.

    A text is never taken for another kind: "no" would count as true.

    Args:
        value: The value.
        kind: `bool`; `int` or `float` for a number greater than 0.
        or_zero: Whether a number may be 0.
    """
    if kind is bool:
        return None if isinstance(value, bool) else "True or False"
    name = "a whole number" if kind is int else "a number"
    expected = f"{name} that is not negative" if or_zero else f"{name} greater than 0"
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        return expected
    return None if value > 0 or (or_zero and value == 0) else expected

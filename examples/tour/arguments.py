"""Validated numbers from the query string."""

from dewar import abort, request


def number(name: str, default: float, low: float, high: float) -> float:
    """Return a number from the query string; abort with 400 if it is not from `low` to `high`."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")  # is outside every range, like the text "nan"
    if not low <= value <= high:
        abort(400, f"?{name}= takes a number from {low:g} to {high:g}, not {text!r}.")
    return value

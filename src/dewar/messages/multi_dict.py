"""`ImmutableMultiDict`: several values for a key, as query strings, forms and cookies have them."""

from collections.abc import Callable
from typing import Any, Self

from werkzeug.datastructures import ImmutableMultiDict as WerkzeugImmutableMultiDict

_new = dict.__new__
_set: Callable[..., None] = dict.__setitem__
_values_of: Callable[..., list[Any] | None] = dict.get


class ImmutableMultiDict(WerkzeugImmutableMultiDict[str, str]):
    """Werkzeug's class, with a `get` that raises nothing inside.

    Args:
        mapping: As for Werkzeug's.
    """

    @classmethod
    def of_text(cls, text: str, separator: str) -> Self:
        """Return the dict of a text such as ``name=value&other=value``, with nothing encoded."""
        # PERF: the constructor asks first what it was given.
        made = _new(cls)
        for piece in text.split(separator):
            if piece:
                name, _, value = piece.partition("=")
                values = _values_of(made, name)
                if values is None:
                    _set(made, name, [value])
                else:
                    values.append(value)
        return made

    def get(self, key: Any, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # type: ignore[override]  # noqa: A002  # Werkzeug's names
        """Return the first value of a key, converted by `type`.

        Args:
            key: The key.
            default: What is returned if the key is missing, or `type` raises a `ValueError` or
                `TypeError`.
            type: A function of the value.
        """
        # PERF: without a value, Werkzeug's raises and catches an HTTP exception.
        values = _values_of(self, key)
        if not values:
            return default
        if type is None:
            return values[0]
        try:
            return type(values[0])
        except (ValueError, TypeError):
            return default

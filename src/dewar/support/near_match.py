"""A hint for a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def maybe_near(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate that is most like a name, or None if none is like it.

    Args:
        name: The unknown name.
        candidates: The known names.
        cutoff: How much alike they have to be, from 0 to 1 (see `difflib.get_close_matches`).
    """
    return next(iter(get_close_matches(name, list(candidates), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return a sentence, after a space, that names the nearest candidate; empty if none is near."""
    near = maybe_near(name, candidates)
    return "" if near is None else f" Did you mean {near!r}?"

"""`shown_arguments`: the arguments of a job in a few characters, without credentials."""

import json
from collections.abc import Sequence
from typing import Any

from dewar.support.printable import printable
from dewar.support.redaction import HIDDEN, IsSecret, without_secrets

#: The most characters that are shown.
_WIDTH = 60
#: Longer texts are not read, in characters: a list may have many of them.
_MAX_READ = 100_000


def shown_arguments(text: str, names: Sequence[str], is_secret: IsSecret) -> str:
    """Return arguments as they are written in a call, shortened to one line.

    Args:
        text: The JSON of a list and a dict, as the ledger has it.
        names: The names of the function's parameters; none if the task is unknown.
        is_secret: Returns whether a name is that of a field with credentials.
    """
    if len(text) > _MAX_READ:
        return f"({len(text):,} characters)"
    try:
        args, kwargs = json.loads(text)
        shown = [
            _shown(names[place] if place < len(names) else "", value, is_secret)
            for place, value in enumerate(args)
        ]
        shown += [f"{name}={_shown(name, value, is_secret)}" for name, value in kwargs.items()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "(unreadable)"
    line = printable(f"({', '.join(shown)})")
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _shown(name: str, value: Any, is_secret: IsSecret) -> str:
    if name and is_secret(name):
        return HIDDEN
    return json.dumps(_without_secrets(value, is_secret), ensure_ascii=False)


def _without_secrets(value: Any, is_secret: IsSecret) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if is_secret(name) else _without_secrets(one, is_secret)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(one, is_secret) for one in value]
    if isinstance(value, str) and "://" in value:
        return without_secrets(value, is_secret)
    return value

"""The key of a unique job: of its arguments, or of a value that a program gives."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from inspect import Signature
from typing import Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.serialization.tags import looks_unordered
from dewar.tasks.serialization.values import Dumps, pack_arguments

# Longer keys are hashed: an index of PostgreSQL takes some 2,700 bytes.
_LONGEST = 200


def argument_key(
    signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], dumps: Dumps
) -> str:
    """Return the key of the arguments of a call: the same for each way to write the same call.

    Args:
        signature: That of the function. Defaults count as given.
        args: The positional arguments.
        kwargs: The named ones.
        dumps: Writes JSON, as for `dewar.tasks.serialization.values.pack`.

    Raises:
        Unserializable: If an argument has no JSON form.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    packed = json.loads(pack_arguments(bound.args, bound.kwargs, dumps))
    return _hashed(json.dumps(_ordered(packed), sort_keys=True))


def given_key(key: Any) -> str | None:
    """Return a key that a program gives, as text; None for None.

    Raises:
        TaskSetupError: If it is neither text nor a whole number.
    """
    if key is None:
        return None
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise TaskSetupError(
            f"The key {key!r} of a unique job should be text or a whole number, the same in each"
            " process: unique_key=f'{user}/{day}'."
        )
    text = str(key)
    # What a database would refuse or change is hashed as well.
    is_plain = len(text) <= _LONGEST and text.isascii() and text.isprintable()
    return text if is_plain else _hashed(text)


def _hashed(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _ordered(packed: Any) -> Any:
    """Return packed values with the parts of sets and of tagged dicts in one order."""
    if isinstance(packed, dict):
        ordered = {key: _ordered(item) for key, item in packed.items()}
        if looks_unordered(packed):
            ((tag, items),) = ordered.items()
            return {tag: sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
        return ordered
    return [_ordered(item) for item in packed] if isinstance(packed, list) else packed

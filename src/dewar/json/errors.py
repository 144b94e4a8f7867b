"""The errors of converting Python values to JSON and back."""

from dewar.errors import DewarError


class NotSerializableError(DewarError, TypeError):
    """Raised when a value has no JSON form.

    It is a `TypeError`, which `json.dumps` raises too. `value` is the object.
    """

    def __init__(self, value: object) -> None:
        super().__init__(
            f"Object of type {type(value).__name__} is not JSON serializable. Convert it to a dict,"
            " list, str or number first, or set app.json.default to a function that converts it."
        )
        self.value = value


class ResponseArgumentsError(DewarError, TypeError):
    """Raised when `jsonify` gets both positional and keyword arguments."""


class TagTakenError(DewarError, KeyError):
    """Raised when a tag class is registered under a key that is already used.

    It is a `KeyError`, as in Flask. `key` is the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Tag {key!r} is already registered. Give your tag another key, or replace the"
            " existing tag: serializer.register(MyTag, force=True)."
        )
        self.key = key

    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])

"""What goes wrong between Python values and JSON."""

from dewar.errors import DewarError


class NotSerializableError(DewarError, TypeError):
    """Raised when a value has no JSON form.

    It is a `TypeError`, as `json.dumps` raises. `value` is the object in question.
    """

    def __init__(self, value: object) -> None:
        super().__init__(
            f"Object of type {type(value).__name__} is not JSON serializable. Turn it into a dict,"
            " list, str or number first, or set app.json.default to a function that does."
        )
        self.value = value


class ResponseArgumentsError(DewarError, TypeError):
    """Raised when `jsonify` gets positional and keyword arguments at once."""


class TagTakenError(DewarError, KeyError):
    """Raised when a second tag class is registered under the key of a first.

    It is a `KeyError`, as Flask's is. `key` is the key in question.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Tag {key!r} is already registered. Give your tag another key, or replace the"
            " present one: serializer.register(MyTag, force=True)."
        )
        self.key = key

    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])

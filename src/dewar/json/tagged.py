"""`TaggedJSONSerializer`: JSON that preserves tuples, bytes, markup, UUIDs and datetimes.

A value of a type that JSON lacks is written as a dict with one key, its *tag*: ``{" t": [1, 2]}``
is the tuple ``(1, 2)``. A user's dict that looks like this is tagged too, so that it is read
correctly. The format is Flask's: Dewar and Flask can read each other's session cookies.
"""

import copy
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from dewar import json as current_json
from dewar.json.errors import TagTakenError
from dewar.json.plain import needs_tags, untag_all

__all__ = ["JSONTag", "JSONText", "TaggedJSONSerializer", "through"]

S = TypeVar("S", bound="TaggedJSONSerializer")


class JSONText(Protocol):
    """Converts plain values to JSON text and back. A `JSONProvider` is one."""

    def dumps(self, obj: Any, *, separators: tuple[str, str]) -> str:
        """Return `obj` as JSON text."""

    def loads(self, s: str) -> Any:
        """Return the value parsed from JSON text."""


class JSONTag:
    """Converts one type. A subclass sets `key` and defines `check`, `to_json` and `to_python`.

    A tag without a `key` only changes how a type is written: it overrides `tag`.

    Args:
        serializer: The serializer it is registered with, which tags the items of a value.
    """

    __slots__ = ("serializer",)

    key: str = ""

    def __init__(self, serializer: "TaggedJSONSerializer") -> None:
        self.serializer = serializer

    def check(self, value: Any) -> bool:
        """Return whether this tag is for `value`."""
        raise NotImplementedError

    def to_json(self, value: Any) -> Any:
        """Return `value`, without the tag, in a form that JSON can write."""
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        """Return the original of a value that `to_json` returned."""
        raise NotImplementedError

    def tag(self, value: Any) -> Any:
        """Return `value` in the form that is written, inside its tag."""
        return {self.key: self.to_json(value)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"


class TagDict(JSONTag):
    """A dict with one item whose key is a tag. The key is written with ``__`` appended."""

    __slots__ = ()
    key = " di"

    def check(self, value: Any) -> bool:
        tags = self.serializer.tags
        return isinstance(value, dict) and len(value) == 1 and _key_of(value) in tags

    def to_json(self, value: Any) -> Any:
        key = _key_of(value)
        return {f"{key}__": self.serializer.tag(value[key])}

    def to_python(self, value: Any) -> Any:
        key = _key_of(value)
        return {key[: -len("__")]: value[key]}


class PassDict(JSONTag):
    """Any other dict. JSON converts its keys to strings."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, dict)

    def tag(self, value: Any) -> Any:
        tag = self.serializer.tag
        return {key: tag(item) for key, item in value.items()}

    to_json = tag


class TagTuple(JSONTag):
    """A tuple, which JSON would convert to a list."""

    __slots__ = ()
    key = " t"

    def check(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        return tuple(value)


class PassList(JSONTag):
    """A list, whose items may need tags."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        return isinstance(value, list)

    def tag(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    to_json = tag


class TagBytes(JSONTag):
    """Bytes, as base64."""

    __slots__ = ()
    key = " b"

    def check(self, value: Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: Any) -> Any:
        return b64encode(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Anything with an ``__html__`` method. It is read back as `~markupsafe.Markup`."""

    __slots__ = ()
    key = " m"

    def check(self, value: Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: Any) -> Any:
        return str(value.__html__())

    def to_python(self, value: Any) -> Any:
        return Markup(value)  # noqa: S704  # only markup is written with this tag


class TagUUID(JSONTag):
    """A UUID, as its 32 hexadecimal digits."""

    __slots__ = ()
    key = " u"

    def check(self, value: Any) -> bool:
        return isinstance(value, UUID)

    def to_json(self, value: Any) -> Any:
        return value.hex

    def to_python(self, value: Any) -> Any:
        return UUID(value)


class TagDateTime(JSONTag):
    """A datetime, as an HTTP date. It is read back in UTC, without fractions of a second."""

    __slots__ = ()
    key = " d"

    def check(self, value: Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: Any) -> Any:
        return http_date(value)

    def to_python(self, value: Any) -> Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """Converts values to compact JSON text and back, with the types of `default_tags`.

    `tags` maps keys to tags. `order` has all tags: the first one whose `check` returns true
    converts a value.
    """

    __slots__ = ("_dewar_shipped", "_dewar_text", "order", "tags")

    default_tags: ClassVar[Sequence[type[JSONTag]]] = (
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    )

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        # That of the current app: extensions keep one serializer for all apps.
        self._dewar_text: JSONText = current_json
        for tag_class in self.default_tags:
            self.register(tag_class)
        # The order of the shipped tags; None if there are others.
        are_shipped = [*map(type, self.order)] == [*_SHIPPED]
        self._dewar_shipped = [*self.order] if are_shipped else None

    def register(
        self, tag_class: type[JSONTag], force: bool = False, index: int | None = None
    ) -> None:
        """Add a tag for another type.

        Args:
            tag_class: The class of the tag.
            force: Replace the tag that already has this key.
            index: The position in `order`. A tag for a subclass of dict must come before the one
                for dicts, for instance at 0. None means the end.

        Raises:
            TagTakenError: If the key is already used and `force` is false. It is a `KeyError`.
        """
        tag = tag_class(self)
        if tag.key:
            if tag.key in self.tags and not force:
                raise TagTakenError(tag.key)
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)

    def tag(self, value: Any) -> Any:
        """Return `value` in the form that is written: in a tag, if its type has one."""
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, Any]) -> Any:
        """Return the original of a dict that may be a tag. Its items are not untagged."""
        if len(value) != 1:
            return value
        key = _key_of(value)
        tag = self.tags.get(key)
        return value if tag is None else tag.to_python(value[key])

    def dumps(self, value: Any) -> str:
        """Return `value` as text.

        Raises:
            TypeError: If it contains a type that neither the tags nor JSON support.
        """
        # PERF: what needs no tag is not copied. Only the shipped tags are known to leave it alone.
        if (
            self.order != self._dewar_shipped
            or type(self).tag is not _STOCK_TAG
            or needs_tags(value, self.tags)
        ):
            value = self.tag(value)
        return self._dewar_text.dumps(value, separators=(",", ":"))

    def loads(self, value: str) -> Any:
        """Return the original of a text that `dumps` returned."""
        return untag_all(self._dewar_text.loads(value), self.untag)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {sorted(self.tags)}>"


_SHIPPED = TaggedJSONSerializer.default_tags
# As it is at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_STOCK_TAG = TaggedJSONSerializer.tag


def through(serializer: S, text: JSONText) -> S:
    """Return a serializer that shares the tags of another, and uses `text` for the text."""
    other = copy.copy(serializer)
    other._dewar_text = text
    return other


def _key_of(value: dict[str, Any]) -> str:
    return next(iter(value))

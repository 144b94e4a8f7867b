"""The kinds of settings: how a value is read from text and TOML, checked, and written as TOML.

A kind knows three forms of a value. A flag or a variable has *text*. A file has *TOML*, which has
numbers and arrays. `Settings` has the *value*.
"""

import re
import threading
from collections.abc import Sequence

from dewar.support.units import parse_duration, parse_size

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})
# TOML 1.0, "String": characters that a basic string has to escape.
_TOML_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')


class SettingKind:
    """A text, and the base of the other kinds.

    Attributes:
        metavar: The placeholder of a value in help.
        expected: What a value must be, as the end of "must be …".
        written: The same for text and TOML.
    """

    metavar = "TEXT"
    expected = "printable text"
    written = expected

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.written}>"

    def holds(self, value: object) -> bool:
        """Return whether `Settings` may have *value*."""
        return isinstance(value, str) and value.isprintable()

    def read(self, text: str) -> object:
        """Return the value of a flag or a variable.

        Raises:
            ValueError: The text is not valid.
        """
        return text

    def accept(self, given: object) -> object:
        """Return the value of an entry in a file.

        Raises:
            ValueError: The entry is not valid.
        """
        if not isinstance(given, str):
            raise ValueError(given)  # noqa: TRY004 - the caller says what is expected
        return self.read(given)

    def write(self, value: object) -> str:
        """Return *value* as TOML, which `accept` turns into the same value."""
        return quote(str(value))


class ProductToken(SettingKind):
    """The name of a piece of software in a header field (RFC 9110 §10.2.4)."""

    expected = written = "printable ASCII text"

    def holds(self, value: object) -> bool:
        """Return whether *value* is valid in a header field."""
        return super().holds(value) and str(value).isascii() and str(value).strip() != ""


class WholeNumber(SettingKind):
    """A whole number.

    Args:
        least: The lowest valid number.
    """

    metavar = "N"

    def __init__(self, least: int = 0) -> None:
        self._least = least
        self.expected = self.written = f"a whole number, {least} or more"

    def holds(self, value: object) -> bool:
        """Return whether *value* is an int in range, and not a bool."""
        return isinstance(value, int) and not isinstance(value, bool) and value >= self._least

    def read(self, text: str) -> object:
        """Return the number."""
        return int(text)

    def accept(self, given: object) -> object:
        """Return the number; text is not valid."""
        if not self.holds(given):
            raise ValueError(given)
        return given

    def write(self, value: object) -> str:
        """Return the number."""
        return str(value)


class Size(WholeNumber):
    """A number of bytes, which text may give with a unit."""

    metavar = "SIZE"

    def __init__(self, least: int = 0) -> None:
        super().__init__(least)
        self.written = f"a number of bytes, {least} or more, such as 65536, 512k or 1GiB"

    def read(self, text: str) -> object:
        """Return the bytes."""
        return parse_size(text)

    def accept(self, given: object) -> object:
        """Return the bytes of a number, or of a text with a unit."""
        return self.read(given) if isinstance(given, str) else super().accept(given)


class Duration(SettingKind):
    """A duration."""

    metavar = "DURATION"
    expected = "a number of seconds, 0 or more"
    written = f"{expected}, such as 30, 1.5, 500ms or 2m"

    def holds(self, value: object) -> bool:
        """Return whether *value* is a number that a thread can wait for."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return 0 <= value <= threading.TIMEOUT_MAX

    def read(self, text: str) -> object:
        """Return the seconds."""
        return parse_duration(text)

    def accept(self, given: object) -> object:
        """Return the seconds of a number, or of a text with a unit."""
        if isinstance(given, str):
            return self.read(given)
        if not self.holds(given):
            raise ValueError(given)
        return given

    def write(self, value: object) -> str:
        """Return the number."""
        return repr(value)


class Switch(SettingKind):
    """On or off; as a flag, ``--name`` and ``--no-name``."""

    metavar = ""
    expected = "True or False"
    written = "true or false"

    def holds(self, value: object) -> bool:
        """Return whether *value* is a bool."""
        return isinstance(value, bool)

    def read(self, text: str) -> object:
        """Return True for ``1``, ``true``, ``yes`` and ``on``, False for their opposites."""
        word = text.strip().lower()
        if word not in _ON | _OFF:
            raise ValueError(text)
        return word in _ON

    def accept(self, given: object) -> object:
        """Return a bool as it is."""
        if not isinstance(given, bool):
            raise ValueError(given)  # noqa: TRY004 - the caller says what is expected
        return given

    def write(self, value: object) -> str:
        """Return ``true`` or ``false``."""
        return "true" if value else "false"


class Choice(SettingKind):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.metavar = f"[{'|'.join(words)}]"
        shown = [repr(word) for word in words]
        self.expected = self.written = f"{', '.join(shown[:-1])} or {shown[-1]}"

    def holds(self, value: object) -> bool:
        """Return whether *value* is one of the words."""
        return value in self._words


class FilePath(SettingKind):
    """The path of a file."""

    metavar = "FILE"
    expected = written = "the path of a file"

    def holds(self, value: object) -> bool:
        """Return whether *value* can be a path."""
        return isinstance(value, str) and value != "" and "\0" not in value


class FolderPath(FilePath):
    """The path of a folder."""

    metavar = "FOLDER"
    expected = written = "the path of a folder"


class CommaList(SettingKind):
    """Texts separated by commas; a file may have them as an array.

    Args:
        metavar: The placeholder of one text in help.
        expected: What the texts must be.
        least: The lowest number of texts.
    """

    def __init__(self, metavar: str, expected: str, least: int = 0) -> None:
        self.metavar = metavar
        self.expected = self.written = expected
        self._least = least

    def holds(self, value: object) -> bool:
        """Return whether *value* is a text with enough parts."""
        return super().holds(value) and (bool(str(value).strip()) or self._least == 0)

    def accept(self, given: object) -> object:
        """Return the text, or the texts of an array joined with commas."""
        if isinstance(given, Sequence) and all(isinstance(part, str) for part in given):
            return given if isinstance(given, str) else ",".join(given)
        raise ValueError(given)


class Permissions(SettingKind):
    """The permissions of a file, in octal."""

    metavar = "OCTAL"
    expected = "permissions in octal, as text such as '660'"
    written = expected

    def holds(self, value: object) -> bool:
        """Return whether *value* is three octal digits, or four with a zero in front."""
        return isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value) is not None


class MountPath(SettingKind):
    """The path that an application is mounted at, or nothing."""

    metavar = "PATH"
    expected = "'' or a path that begins with '/' and does not end with one, such as '/shop'"
    written = expected

    def holds(self, value: object) -> bool:
        """Return whether *value* can be a ``SCRIPT_NAME`` (PEP 3333)."""
        if not super().holds(value) or set(str(value)) & {"?", "#"}:
            return False
        return value == "" or (str(value).startswith("/") and not str(value).endswith("/"))


class PythonObject(SettingKind):
    """An object that only a program can give: it has no flag, no variable and no TOML.

    Args:
        type_: The type of the object.
    """

    def __init__(self, type_: type) -> None:
        self._type = type_
        self.expected = self.written = f"an {type_.__module__}.{type_.__qualname__}"

    def holds(self, value: object) -> bool:
        """Return whether *value* is an instance of the type."""
        return isinstance(value, self._type)

    def accept(self, given: object) -> object:
        """Return the object, which a file of Python can give."""
        if not self.holds(given):
            raise ValueError(given)
        return given


def quote(text: str) -> str:
    """Return *text* as a basic string of TOML."""
    escaped = _TOML_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04X}", text)
    return f'"{escaped}"'

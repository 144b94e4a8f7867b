"""`Setting`: the name of one setting, its values, and how it is given and shown.

`Settings` makes each field with `setting`, which keeps all of this in the field. Checks, flags,
variables, files, help and the check of the reference page read it from there.
"""

from dataclasses import Field, dataclass, field
from enum import Enum
from typing import Any, TypeVar, get_args

from dewar.server.settings.kinds import PythonObject, SettingKind

T = TypeVar("T")

#: What stands for None in text and TOML, which have no word for it.
NONE = "none"


class SettingGroup(Enum):
    """The sections that settings are shown in."""

    ADDRESS = "Where to listen"
    WORK = "Threads and processes"
    DEADLINES = "Deadlines"
    LIMITS = "Limits"
    LOGS = "Logs and metrics"
    TLS = "TLS"
    PROXY = "Behind a proxy"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: The field of `Settings`.
        default: The value of the field, unless another is given.
        optional: Whether it may be None.
        group: The section it is shown in.
        kind: What it may be.
        help: What it means, in a line or two.
        aliases: More spellings of its flag.
        own_variable: Its environment variable, if that does not follow from the name.
    """

    name: str
    default: object
    optional: bool
    group: SettingGroup
    kind: SettingKind
    help: str
    aliases: tuple[str, ...]
    own_variable: str

    @property
    def has_text(self) -> bool:
        """Whether it can be given as text at all."""
        return not isinstance(self.kind, PythonObject)

    @property
    def flag(self) -> str:
        """The option of the command line; a switch has ``--no-…`` too."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable that it may come from."""
        return self.own_variable or f"DEWAR_{self.name.upper()}"

    @property
    def expected(self) -> str:
        """What a value must be, as the end of "must be …"."""
        return f"{self.kind.expected}, or None" if self.optional else self.kind.expected

    @property
    def written(self) -> str:
        """The same for text and TOML."""
        return f"{self.kind.written}, or '{NONE}'" if self.optional else self.kind.written

    def holds(self, value: object) -> bool:
        """Return whether `Settings` may have *value*."""
        return (value is None and self.optional) or self.kind.holds(value)

    def read(self, text: str) -> object:
        """Return the value of a flag or a variable.

        Raises:
            ValueError: The text is not valid.
        """
        return None if self._is_none(text) else self.kind.read(text)

    def accept(self, given: object) -> object:
        """Return the value of an entry in a file.

        Raises:
            ValueError: The entry is not valid.
        """
        return None if self._is_none(given) else self.kind.accept(given)

    def write(self, value: object) -> str:
        """Return *value* as TOML, which `accept` turns into the same value."""
        return f'"{NONE}"' if value is None else self.kind.write(value)

    def _is_none(self, given: object) -> bool:
        return self.optional and isinstance(given, str) and given.strip().lower() == NONE


def setting(
    default: T,
    group: SettingGroup,
    kind: SettingKind,
    help: str,  # noqa: A002  # as Click calls it
    *aliases: str,
    variable: str = "",
) -> T:
    """Return a field of a dataclass, with its setting as metadata.

    Args:
        default: Its value, unless another is given.
        group: The section it is shown in.
        kind: What it may be.
        help: What it means.
        aliases: More spellings of its flag.
        variable: Its environment variable, if that does not follow from the name.
    """
    return field(
        default=default,
        metadata={
            "group": group, "kind": kind, "help": help, "aliases": aliases,
            "own_variable": variable,
        },
    )  # fmt: skip


def setting_of(made: Field[Any]) -> Setting:
    """Return the setting of a field that `setting` made."""
    optional = type(None) in get_args(made.type)
    return Setting(name=made.name, default=made.default, optional=optional, **made.metadata)

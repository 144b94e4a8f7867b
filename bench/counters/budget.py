"""The counters of the last landing, in a file, and the comparison with those of today."""

import importlib.metadata
import json
import platform
import sysconfig
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.counters.tools import Costs

BUDGET = Path(__file__).with_name("budget.toml")
_LIBRARIES = ("werkzeug", "itsdangerous", "httptools", "uvloop")
#: These depend on how CPython was compiled, and are only compared on the same build.
OF_A_BUILD = frozenset({"allocations", "instructions"})
#: Which share of the budget is noise; the other counters are exact. Ten runs of the same files
#: differ by up to 0.9 % in instructions, and any change that moves objects in memory is worth up to
#: 1.2 %: two methods may then have the same place in CPython's cache of methods, which goes by
#: addresses. A system call more or less gives memory back, once in some hundred requests.
TOLERANCES = {"instructions": 0.02, "system calls": 0.15}
#: asyncio has its tasks in a set that goes by addresses as well, and sometimes has to enlarge it.
_ON_LOOP = "wire: coroutine view"
_TOLERANCES_ON_LOOP = TOLERANCES | {"allocations": 0.1, "instructions": 0.05}
_HEAD = """\
# What a request costs, by path: the counters of the last landing. `make counters` compares them
# with those of today, `make counters-update` writes this file.
"""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A counter that is not what the budget says; None where there is none."""

    path: str
    counter: str
    budget: float | None
    found: float | None

    @property
    def kind(self) -> str:
        """What has happened to it."""
        if self.budget is None:
            return "new"
        if self.found is None:
            return "gone"
        return "grown" if self.found > self.budget else "shrunk"

    def __str__(self) -> str:
        was = "none" if self.budget is None else number(self.budget)
        now = "none" if self.found is None else number(self.found)
        share = f" ({self.found / self.budget - 1:+.1%})" if self.budget and self.found else ""
        return f"{self.kind:<6}  {self.path}: {self.counter} {was} -> {now}{share}"


@dataclass(frozen=True)
class Budget:
    """The figures, and what they were taken with."""

    taken_with: Mapping[str, str]
    costs: Costs

    def compare(self, found: Costs, counters: Iterable[str]) -> list[Change]:
        """Return what differs in some counters, beyond their tolerances."""
        paths = [*self.costs, *(path for path in found if path not in self.costs)]
        pairs = [(path, counter) for path in paths for counter in counters]
        changes = [
            Change(
                path=path,
                counter=counter,
                budget=self.costs.get(path, {}).get(counter),
                found=found.get(path, {}).get(counter),
            )
            for path, counter in pairs
        ]
        return [change for change in changes if not _is_noise(change)]

    def differences(self) -> list[str]:
        """Return what the figures were taken with and is another one here."""
        here = taken_with()
        return [
            f"{name} {self.taken_with.get(name)} (here {here.get(name)})"
            for name in sorted({*self.taken_with, *here})
            if self.taken_with.get(name) != here.get(name)
        ]

    def can_compare(self, counters: Iterable[str]) -> bool:
        """Return whether this Python is one on which these counters can be the same."""
        name = "build" if OF_A_BUILD.intersection(counters) else "python"
        return self.taken_with.get(name) == taken_with()[name]


def taken_with() -> dict[str, str]:
    """Return the versions that the counters depend on."""
    options = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS')}"
    minor = ".".join(platform.python_version_tuple()[:2])
    found = {
        "python": f"{platform.python_implementation()} {minor}, {platform.system()}",
        "build": f"{platform.python_version()}, {platform.python_compiler()},"
        f" {platform.machine()}, {' '.join(platform.libc_ver())},"
        f" {zlib.crc32(options.encode()):08x}",
    }
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read(file: Path = BUDGET) -> Budget:
    """Return the budget in a file; an empty one if there is none."""
    if not file.exists():
        return Budget({}, {})
    tables = tomllib.loads(file.read_text("utf-8"))
    return Budget(tables.pop("taken with"), tables)


def write(budget: Budget, file: Path = BUDGET) -> None:
    """Write a budget: one line for each counter, in order."""
    tables: dict[str, Mapping[str, object]] = {"taken with": budget.taken_with, **budget.costs}
    lines = [_HEAD.rstrip()]
    for name in sorted(tables, key=lambda name: (name != "taken with", name)):
        lines += ["", f"[{json.dumps(name)}]"]
        lines += [f"{_key(key)} = {_value(tables[name][key])}" for key in sorted(tables[name])]
    file.write_text("\n".join(lines) + "\n", "utf-8")


def number(value: float) -> str:
    """Return a figure, without a fraction if it has none."""
    return f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:,.1f}"


def _is_noise(change: Change) -> bool:
    if change.budget is None or change.found is None:
        return change.budget is change.found
    tolerances = _TOLERANCES_ON_LOOP if change.path == _ON_LOOP else TOLERANCES
    tolerance = tolerances.get(change.counter, 0.0)
    return abs(change.found - change.budget) <= tolerance * max(change.budget, 1.0)


def _key(name: str) -> str:
    return json.dumps(name) if " " in name else name


def _value(value: object) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)

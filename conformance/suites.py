"""The table of suites: the tested releases and their requirements."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

TABLE = Path(__file__).with_name("suites.toml")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A release of a project, and how to run its tests."""

    name: str
    project: str
    version: str
    tests: tuple[str, ...]
    requires: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str]
    #: Files that replace those missing in the release: their target paths and their names.
    supplied: Mapping[str, str]
    #: Why some of its tests are left out.
    note: str = ""
    timeout: int = 600

    @property
    def folder(self) -> str:
        """The name of the folder in which the release is unpacked, installed and run."""
        return f"{self.project}-{self.version}"

    def fingerprint(self, *circumstances: str) -> str:
        """Return a digest of everything that the results can depend on."""
        facts = json.dumps([asdict(self), circumstances], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Table:
    """All suites, and the names of the fast and most important ones."""

    suites: tuple[Suite, ...]
    fast: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the table from a TOML document."""
        document = tomllib.loads(text)
        common: list[str] = document["common"]
        suites = tuple(_suite(entry, common) for entry in document["suite"])
        return cls(suites=suites, fast=frozenset(document["fast"]))

    def choose(self, names: list[str] | None, *, fast: bool) -> list[Suite]:
        """Return the chosen suites.

        Raises:
            LookupError: If there is no suite with one of these names.
        """
        known = {suite.name.casefold(): suite.name for suite in self.suites}
        wanted = {known.get(name.casefold(), name) for name in names or ()}
        if unknown := wanted - set(known.values()):
            raise LookupError(
                f"There is no suite {', '.join(sorted(unknown))}. "
                f"The suites are: {', '.join(suite.name for suite in self.suites)}."
            )
        if fast:
            wanted |= self.fast
        return [suite for suite in self.suites if not wanted or suite.name in wanted]


def _suite(entry: dict[str, Any], common: list[str]) -> Suite:
    return Suite(
        tests=tuple(entry.pop("tests", ["tests"])),
        requires=(*common, *entry.pop("requires", [])),
        arguments=tuple(entry.pop("arguments", [])),
        environment=entry.pop("environment", {}),
        supplied=entry.pop("supplied", {}),
        **entry,
    )

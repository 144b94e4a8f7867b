"""The table of suites: which releases are tested, and what each of them needs."""

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
    """One release of a project, and how its tests are run."""

    name: str
    project: str
    version: str
    tests: tuple[str, ...]
    requires: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str]
    #: Files of ours that stand in for what the release lacks: where they go, and their names.
    supplied: Mapping[str, str]
    #: Why some of its tests are left out, if any are.
    note: str = ""
    timeout: int = 600

    @property
    def folder(self) -> str:
        """The name of the folder that this release is unpacked, installed and run in."""
        return f"{self.project}-{self.version}"

    def fingerprint(self, *circumstances: str) -> str:
        """Return a digest that changes with anything the results could depend on."""
        facts = json.dumps([asdict(self), circumstances], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Table:
    """All suites, and the names of those that are quick and matter most."""

    suites: tuple[Suite, ...]
    fast: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the table that a TOML document describes."""
        document = tomllib.loads(text)
        common: list[str] = document["common"]
        suites = tuple(_suite(entry, common) for entry in document["suite"])
        return cls(suites=suites, fast=frozenset(document["fast"]))

    def choose(self, names: list[str] | None, *, fast: bool) -> list[Suite]:
        """Return the suites that were asked for.

        Raises:
            LookupError: There is no suite of one of these names.
        """
        known = {suite.name.casefold(): suite.name for suite in self.suites}
        wanted = {known.get(name.casefold(), name) for name in names or ()}
        if unknown := wanted - set(known.values()):
            raise LookupError(
                f"There is no suite {', '.join(sorted(unknown))}. "
                f"There are: {', '.join(suite.name for suite in self.suites)}."
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

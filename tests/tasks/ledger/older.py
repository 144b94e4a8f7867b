"""Ledgers of the first schema, as Dewar made them before it had migrations."""

import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

_HERE = Path(__file__).parent / "schema_1"
#: What a process of that version does with a ledger: the statements of its code, as it ran them.
INSERT_JOB = (
    "INSERT INTO dewar_jobs (id, task, state, arguments, context, owner, attempts, idempotent,"
    " stop_requested, created, due, started, finished, fraction, message, result, error, callback)"
    " VALUES (:id, 'resize', 'queued', '[[1],{}]', NULL, :owner, 0, 1, 0, :at, :at, NULL, NULL,"
    " NULL, NULL, NULL, NULL, NULL)"
)
CLAIM = (
    "UPDATE dewar_jobs SET owner=:owner WHERE dewar_jobs.id IN (SELECT dewar_jobs.id FROM"
    " dewar_jobs WHERE state = 'queued' AND owner IS NULL AND (dewar_jobs.task || '') IN"
    " ('resize', 'other') AND dewar_jobs.due <= :now ORDER BY dewar_jobs.due, dewar_jobs.id"
    " LIMIT 1000) RETURNING id"
)
NEXT_DUE = (
    "SELECT min(dewar_jobs.due) AS min_1 FROM dewar_jobs WHERE state = 'queued' AND owner IS NULL"
    " AND (dewar_jobs.task || '') IN ('resize', 'other')"
)
BEGIN = "UPDATE dewar_jobs SET state='running', attempts=1, started=:now WHERE id = :id"
END = "UPDATE dewar_jobs SET state='done', finished=:now, result='7' WHERE id = :id"


class OlderProcess:
    """A process of the first schema. It knows two tasks, and neither queues nor limits."""

    def __init__(self, where: str) -> None:
        self.connection: Any
        if "://" in where:
            self.connection = psycopg.connect(where, autocommit=True)
        else:
            self.connection = sqlite3.connect(where, isolation_level=None, timeout=30)
        self._names = "%({})s" if "://" in where else ":{}"

    def run(self, statement: str, **given: object) -> Sequence[Any]:
        for name in given:
            statement = statement.replace(f":{name}", self._names.format(name))
        found = self.connection.execute(statement, given)
        return found.fetchall() if found.description is not None else []

    def submit(self, id: str, at: float = 1.0, owner: str | None = None) -> None:
        self.run(INSERT_JOB, id=id, at=at, owner=owner)

    def claim(self, now: float) -> set[str]:
        return {row[0] for row in self.run(CLAIM, owner="older", now=now)}

    def next_due(self) -> float:
        return self.run(NEXT_DUE)[0][0]

    def close(self) -> None:
        self.connection.close()


def make_older_ledger(where: str, *, rows: bool = True) -> None:
    """Make a ledger of the first schema, with jobs in every state."""
    kind = "postgresql" if "://" in where else "sqlite"
    names = [kind, "rows"] if rows else [kind]
    scripts = [(_HERE / f"{name}.sql").read_text(encoding="utf-8") for name in names]
    if not rows:
        scripts.append("INSERT INTO dewar_meta VALUES('version','1');")
    if kind == "postgresql":
        with psycopg.connect(where, autocommit=True) as connection:
            for script in scripts:
                connection.execute(script)
        return
    if sys.platform != "win32":
        os.close(os.open(where, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(where)
    connection.execute("PRAGMA journal_mode = WAL")
    for script in scripts:
        connection.executescript(script)
    connection.close()

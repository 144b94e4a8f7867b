"""The marks of a ledger that is moved: what they are, and what they keep out.

They are rows of ``dewar_meta``, each with the second at which the move began. While a mark is
there, only the move itself opens the ledger. An older Dewar knows no marks, so a moved ledger has a
version that it refuses as well.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.schema import VERSION, meta

#: Of the old ledger, from the beginning of the move on.
MOVED = "moved"
#: Of the new ledger, as long as it is incomplete.
INCOMING = "incoming"
#: Of the new ledger, when it is complete. It keeps nobody out.
COMPLETE = "complete"


def marks_of(connection: Connection) -> dict[str, int]:
    """Return the rows of ``dewar_meta``."""
    return {row.name: int(row.value) for row in connection.execute(meta.select())}


def set_mark(connection: Connection, name: str, value: int | None) -> None:
    """Set a row of ``dewar_meta``, or delete it."""
    connection.execute(meta.delete().where(meta.c.name == name))
    if value is not None:
        connection.execute(meta.insert(), [{"name": name, "value": str(value)}])


def mark_moved(connection: Connection, value: int | None) -> None:
    """Mark a ledger as moved, or as not moved."""
    set_mark(connection, MOVED, value)
    set_mark(connection, "version", VERSION if value is None else VERSION + 1)


def check_marks(name: str, marks: Mapping[str, int]) -> None:
    """Check that a ledger is neither moved nor incomplete.

    Raises:
        TaskSetupError: If it is.
    """
    if MOVED in marks:
        raise TaskSetupError(
            f"The ledger {name} was moved to another database. Use that one: set TASKS_LEDGER to"
            " what was given to dewar tasks move --to. If the move was interrupted, repeat it."
        )
    if INCOMING in marks:
        raise TaskSetupError(
            f"The ledger {name} is incomplete: jobs are moved to it. Wait for dewar tasks move, or"
            " repeat it if it was interrupted."
        )

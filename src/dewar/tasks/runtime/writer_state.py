"""The states of the thread that writes the ledger, and how they follow each other."""

from enum import Enum


class WriterState(Enum):
    """The states of a writer."""

    OPEN = "takes operations"
    STOPPING = "writes at once what waits, and ends"
    ENDED = "writes nothing more, and takes nothing"


# Directly from OPEN to ENDED if its thread fails.
MOVES: dict[WriterState, frozenset[WriterState]] = {
    WriterState.OPEN: frozenset({WriterState.STOPPING, WriterState.ENDED}),
    WriterState.STOPPING: frozenset({WriterState.ENDED}),
    WriterState.ENDED: frozenset(),
}

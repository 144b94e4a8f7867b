"""The guestbook's notes: in memory, thread-safe and limited in number."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from threading import Lock


@dataclass(frozen=True)
class Note:
    """A visitor's note."""

    id: int
    name: str
    message: str
    written: datetime


class Notes:
    """The newest notes, safe to use from any thread.

    Each process has its own notes. An app that runs in several processes would use a database.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._lock = Lock()
        self._numbers = count(1)
        self._notes: OrderedDict[int, Note] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Notes {len(self._notes)} of at most {self._limit}>"

    def newest_first(self) -> list[Note]:
        """Return all notes, newest first."""
        with self._lock:
            return list(reversed(self._notes.values()))

    def add(self, name: str, message: str) -> Note:
        """Add a note, and drop the oldest one if there are too many."""
        with self._lock:
            note = Note(next(self._numbers), name, message, datetime.now(UTC))
            self._notes[note.id] = note
            if len(self._notes) > self._limit:
                self._notes.popitem(last=False)
            return note

    def maybe_get(self, note_id: int) -> Note | None:
        """Return the note with this id, or None."""
        with self._lock:
            return self._notes.get(note_id)

    def remove(self, note_id: int) -> bool:
        """Remove the note with this id; return whether it existed."""
        with self._lock:
            return self._notes.pop(note_id, None) is not None

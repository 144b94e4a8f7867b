"""The guestbook's notes: in memory, under a lock, and never more than a fixed number."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from threading import Lock


@dataclass(frozen=True)
class Note:
    """What one visitor wrote."""

    id: int
    name: str
    message: str
    written: datetime


class Notes:
    """The newest notes, safe to use from any thread.

    Each process has its own: an app that runs in several would keep them in a database.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._lock = Lock()
        self._numbers = count(1)
        self._notes: OrderedDict[int, Note] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Notes {len(self._notes)} of at most {self._limit}>"

    def newest_first(self) -> list[Note]:
        """Give every note, the newest first."""
        with self._lock:
            return list(reversed(self._notes.values()))

    def add(self, name: str, message: str) -> Note:
        """Keep a note; the oldest goes when there are too many."""
        with self._lock:
            note = Note(next(self._numbers), name, message, datetime.now(UTC))
            self._notes[note.id] = note
            if len(self._notes) > self._limit:
                self._notes.popitem(last=False)
            return note

    def maybe_get(self, note_id: int) -> Note | None:
        """Give the note with this id, if there is one."""
        with self._lock:
            return self._notes.get(note_id)

    def remove(self, note_id: int) -> bool:
        """Drop the note with this id; say whether there was one."""
        with self._lock:
            return self._notes.pop(note_id, None) is not None

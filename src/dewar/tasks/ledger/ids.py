"""The ids of jobs: they sort by the time of their creation, and cannot be guessed."""

import os
import secrets
from collections import deque
from collections.abc import Sequence
from typing import Any

#: base32hex (RFC 4648, section 7): its letters sort as the numbers they stand for.
_LETTERS = "0123456789abcdefghijklmnopqrstuv"
#: PERF: two letters are one look-up.
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
#: The letters for the time: 48 bits of milliseconds, which last until the year 10889.
TIME_LENGTH = 10
_LAST = (1 << 48) - 1
# 26 letters hold 130 bits, of which 128 are random: the first letter has two spare ones.
_RANDOM_LENGTH = 26
_FIRST_MASK = 7
#: The letter for the lower five bits of each byte.
_LETTER_OF_BYTE = (_LETTERS * 8).encode()
#: What the id of a workflow begins with, and that of no job does.
_WORKFLOW = "w_"
# How many ids each request for random bytes is for.
_ENTROPY_BATCH = 64


def new_id(now: float) -> str:
    """Return an id of 36 letters and digits. Later ids sort later, by the millisecond.

    It has 128 random bits from the system's secure source. Nobody can guess it from other ids and
    the time, so it may serve as the only key to a job's status page.

    Args:
        now: Seconds since the epoch.
    """
    return time_prefix(now) + _random_parts(1)[0]


class IdGenerator:
    """Makes many ids as `new_id` does. Any thread may use it.

    PERF: one request for random bytes serves many ids. Each request lets other threads run, and
    its thread waits for its next turn.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._random_parts: deque[str] = deque()

    def __repr__(self) -> str:
        return f"<IdGenerator of process {self._process}>"

    def new(self, now: float) -> str:
        """Return a new id; see `new_id`."""
        if self._process != os.getpid():
            # The parent uses what was inherited: the same ids would be made twice.
            self._random_parts, self._process = deque(), os.getpid()
        try:
            random_part = self._random_parts.popleft()
        except IndexError:
            random_part, *others = _random_parts(_ENTROPY_BATCH)
            self._random_parts.extend(others)
        return time_prefix(now) + random_part


def time_prefix(now: float) -> str:
    """Return the first letters of the ids of a moment. Every earlier id sorts before them."""
    time, pairs = min(max(int(now * 1000), 0), _LAST), _PAIRS
    return (
        f"{pairs[time >> 40]}{pairs[time >> 30 & 1023]}{pairs[time >> 20 & 1023]}"
        f"{pairs[time >> 10 & 1023]}{pairs[time & 1023]}"
    )


def _random_parts(count: int) -> Sequence[str]:
    random = secrets.token_bytes(_RANDOM_LENGTH * count)
    letters = random.translate(_LETTER_OF_BYTE).decode("ascii")
    return [
        _LETTERS[random[start] & _FIRST_MASK] + letters[start + 1 : start + _RANDOM_LENGTH]
        for start in range(0, len(random), _RANDOM_LENGTH)
    ]


def new_workflow_id(now: float) -> str:
    """Return the id of a new workflow; see `new_id`."""
    return _WORKFLOW + new_id(now)


def is_workflow(id: str) -> bool:
    """Return whether an id is that of a workflow."""
    given: Any = id  # what a program gives may be of any type
    return isinstance(given, str) and given.startswith(_WORKFLOW)

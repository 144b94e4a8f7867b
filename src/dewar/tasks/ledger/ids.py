"""The names of jobs: in the order of their making, and not to be guessed."""

import os
import secrets
from collections import deque

#: base32hex (RFC 4648, section 7): its letters sort as the numbers they stand for.
_LETTERS = "0123456789abcdefghijklmnopqrstuv"
#: How many letters tell the time: 48 bits of milliseconds, which last until the year 10889.
TIME_LENGTH = 10
_RANDOM_LENGTH = 26
_RANDOM_BITS = 128
_RANDOM_BYTES = 16
# For how many ids chance is fetched at once.
_ENTROPY_BATCH = 64
_LAST = (1 << 48) - 1


def new_id(now: float) -> str:
    """Return an id of 36 letters and digits: what is made later sorts later, by the millisecond.

    It carries 128 random bits from the system's secure source. Who knows other ids and the time
    cannot guess it, so it may serve as the only key to a job's status page.

    Args:
        now: Seconds since the epoch.
    """
    return time_prefix(now) + _letters(secrets.randbits(_RANDOM_BITS), _RANDOM_LENGTH)


class IdGenerator:
    """Makes ids as `new_id` does, for who needs many. Any thread may ask.

    PERF: the system is asked for chance once for many ids. Each time it is, other threads may run,
    and the one that asks waits until they have had their turn.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._entropy: deque[bytes] = deque()

    def __repr__(self) -> str:
        return f"<IdGenerator of process {self._process}>"

    def new(self, now: float) -> str:
        """Return a new id; see `new_id`."""
        if self._process != os.getpid():
            # What was inherited is the parent's: the same ids would be made twice.
            self._entropy, self._process = deque(), os.getpid()
        try:
            chance = self._entropy.popleft()
        except IndexError:
            more = secrets.token_bytes(_RANDOM_BYTES * _ENTROPY_BATCH)
            chunks = [more[i : i + _RANDOM_BYTES] for i in range(0, len(more), _RANDOM_BYTES)]
            chance = chunks.pop()
            self._entropy.extend(chunks)
        return time_prefix(now) + _letters(int.from_bytes(chance), _RANDOM_LENGTH)


def time_prefix(now: float) -> str:
    """Return what the ids of a moment begin with; every id made before it sorts before."""
    return _letters(min(max(int(now * 1000), 0), _LAST), TIME_LENGTH)


def _letters(number: int, length: int) -> str:
    return "".join([_LETTERS[(number >> shift) & 31] for shift in range(5 * length - 5, -1, -5)])

"""The names of jobs: in the order of their making, and not to be guessed."""

import secrets

__all__ = ["TIME_LENGTH", "new_id", "time_prefix"]

#: base32hex (RFC 4648, section 7): its letters sort as the numbers they stand for.
_LETTERS = "0123456789abcdefghijklmnopqrstuv"
#: How many letters tell the time: 48 bits of milliseconds, which last until the year 10889.
TIME_LENGTH = 10
_RANDOM_LENGTH = 26
_RANDOM_BITS = 128
_LAST = (1 << 48) - 1


def new_id(now: float) -> str:
    """Return an id of 36 letters and digits: what is made later sorts later, by the millisecond.

    It carries 128 random bits from the system's secure source. Who knows other ids and the time
    can't guess it, so it may serve as the only key to a job's status page.

    Args:
        now: seconds since the epoch.
    """
    return time_prefix(now) + _letters(secrets.randbits(_RANDOM_BITS), _RANDOM_LENGTH)


def time_prefix(now: float) -> str:
    """Return what the ids of a moment begin with; every id made before it sorts before."""
    return _letters(min(max(int(now * 1000), 0), _LAST), TIME_LENGTH)


def _letters(number: int, length: int) -> str:
    return "".join([_LETTERS[(number >> shift) & 31] for shift in range(5 * length - 5, -1, -5)])

"""What the jobs of all queues do."""

import time


def work(number: int, seconds: float) -> int:
    """Return the number after so many seconds, as if something else answered then."""
    if seconds:
        time.sleep(seconds)
    return number

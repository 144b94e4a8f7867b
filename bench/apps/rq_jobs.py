"""What the jobs of RQ run."""


def echo(number: int) -> int:
    """Return the number: only the time of the queue is measured."""
    return number

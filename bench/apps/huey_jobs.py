"""A task of Huey, in the file that the environment names."""

import os

# mypy: allow-untyped-decorators
from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["BENCH_HUEY"])


@huey.task()
def echo(number: int) -> int:
    """Return the number: only the time of the queue is measured."""
    return number

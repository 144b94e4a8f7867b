"""A task of Huey, in the file that the environment names."""

import os

# mypy: allow-untyped-decorators
from huey import SqliteHuey

from bench.apps.work import work

huey = SqliteHuey(filename=os.environ["BENCH_HUEY"])


@huey.task()
def echo(number: int, seconds: float) -> int:
    """Return the number after some work."""
    return work(number, seconds)

"""A task of Celery, on the Redis that the environment names."""

import os

# mypy: allow-untyped-decorators
from celery import Celery

from bench.apps.work import work

_REDIS = os.environ["BENCH_REDIS"]
celery = Celery("jobs", broker=_REDIS, backend=_REDIS)


@celery.task
def echo(number: int, seconds: float) -> int:
    """Return the number after some work."""
    return work(number, seconds)

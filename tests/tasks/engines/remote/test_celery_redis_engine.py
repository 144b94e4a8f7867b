"""The Celery engine over Redis, with real workers and a separate Redis."""

from collections.abc import Iterator

import pytest

from celerycontract import CeleryContract
from deploymenttools import free_port
from dewar.tasks.engines.celery.engine import CeleryEngine
from dewar.tasks.engines.celery.engine import open as open_celery
from fartools import CeleryWorker, Redis


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redis")
    with Redis(folder, free_port(), keeps=False) as redis, CeleryWorker(folder, redis.url):
        yield redis.url


@pytest.fixture(scope="module")
def engine(broker: str) -> Iterator[CeleryEngine]:
    engine = open_celery(broker)
    yield engine
    engine.shutdown(wait=True, cancel_futures=True)


class TestCeleryOverRedis(CeleryContract):
    """The contract of all engines, and of Celery over all brokers."""

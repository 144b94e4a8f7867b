"""The Celery engine over RabbitMQ, with real workers and a separate queue."""

import uuid
from collections.abc import Iterator

import pytest
from kombu import Connection

from celerycontract import CeleryContract
from dewar.tasks.engines.celery.engine import CeleryEngine
from dewar.tasks.engines.celery.engine import open as open_celery
from fartools import CeleryWorker, answers

AMQP = "amqp://guest:guest@127.0.0.1:5672//"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not answers(5672):
        pytest.skip("RabbitMQ does not answer on 127.0.0.1:5672")
    queue = f"dewar-test-{uuid.uuid4().hex}"
    url = f"celery+{AMQP}?queue={queue}"
    with CeleryWorker(tmp_path_factory.mktemp("amqp"), url):
        yield url
    with Connection(AMQP) as connection:
        connection.default_channel.queue_delete(queue)


@pytest.fixture(scope="module")
def engine(broker: str) -> Iterator[CeleryEngine]:
    engine = open_celery(broker)
    yield engine
    engine.shutdown(wait=True, cancel_futures=True)


class TestCeleryOverRabbitMQ(CeleryContract):
    """The contract of all engines, and of Celery over all brokers."""

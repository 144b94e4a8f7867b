"""The URLs of remote engines."""

import pytest

from dewar.tasks.engines.celery.engine import CeleryEngine
from dewar.tasks.engines.celery.engine import open as open_celery
from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.dask.settings import DaskSettings
from dewar.tasks.errors import TaskSetupError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("dask://scheduler", "tcp://scheduler:8786"),
        ("dask://127.0.0.1:1234", "tcp://127.0.0.1:1234"),
        ("dask+tls://scheduler:1", "tls://scheduler:1"),
        ("dask://[::1]:2?connect=1.5&reply_timeout=3", "tcp://[::1]:2"),
    ],
)
def test_a_dask_url_names_a_scheduler(url: str, address: str) -> None:
    """The default transport is TCP."""
    assert DaskSettings.parse(url).address == address


@pytest.mark.parametrize(
    "url",
    [
        "dask://",
        "dask://host:port",
        "dask+udp://host",
        "tcp://host",
        "dask://user:secret@host",
        "dask://host?connect=soon",
        "dask://host?connect=-1",
        "dask://host?unknown=1",
    ],
)
def test_other_dask_urls_are_refused(url: str) -> None:
    """The error shows a valid one."""
    with pytest.raises(TaskSetupError, match=r"dask://127\.0\.0\.1:8786"):
        DaskSettings.parse(url)


def test_a_celery_url_is_the_brokers_with_dewars_settings() -> None:
    """Other parameters of the query stay in the broker's URL."""
    found = CelerySettings.parse(
        "celery+redis://:secret@host:6379/2?queue=jobs&reply_timeout=2&visibility_timeout=60&ssl=no"
    )
    assert found == CelerySettings(
        broker="redis://:secret@host:6379/2?ssl=no",
        queue="jobs",
        reply_timeout=2.0,
        visibility_timeout=60.0,
    )
    assert found.is_redis
    assert "secret" not in found.shown
    assert not CelerySettings.parse("celery+amqp://guest:guest@host//").is_redis


@pytest.mark.parametrize(
    "url", ["redis://host", "celery+", "celery://host", "celery+redis://h?reply_timeout=x", ""]
)
def test_other_celery_urls_are_refused(url: str) -> None:
    """The error shows a valid one, or names the setting."""
    with pytest.raises(TaskSetupError, match=r"celery\+redis://|reply_timeout"):
        CelerySettings.parse(url)


def test_no_password_is_shown() -> None:
    """Neither by the engine nor by its errors."""
    engine = open_celery("celery+redis://user:secret@127.0.0.1:1/0")
    assert isinstance(engine, CeleryEngine)
    assert "secret" not in repr(engine)

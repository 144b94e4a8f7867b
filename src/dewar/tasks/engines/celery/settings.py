"""`CelerySettings`: what the URL of a Celery engine says."""

from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dewar.tasks.errors import TaskSetupError

_PREFIX = "celery+"
_EXAMPLE = "Write celery+redis://127.0.0.1:6379/0 or celery+amqp://guest:guest@127.0.0.1//"


@dataclass(frozen=True, kw_only=True, slots=True)
class CelerySettings:
    """Where the broker is, and how to deal with it. Times are in seconds.

    Attributes:
        broker: The broker's URL, as Celery takes it.
        queue: The broker's queue for jobs.
        visibility_timeout: After how long Redis gives a job to another worker when the first has
            neither finished nor died in a way that its parent process saw. No job may run longer.
            RabbitMQ needs none: it sees a lost connection.
        reply_timeout: How long a worker waits for leave to begin, before it takes the process that
            submitted the job for gone, and begins.
        connect: How long a submit tries to reach the broker.
    """

    broker: str
    queue: str = "dewar"
    visibility_timeout: float = 3600.0
    reply_timeout: float = 5.0
    connect: float = 4.0

    @classmethod
    def parse(cls, url: str) -> "CelerySettings":
        """Return the settings of a URL like ``celery+redis://127.0.0.1/0?reply_timeout=2``.

        What of the query is not ours is the broker's.

        Raises:
            TaskSetupError: If it is no such URL.
        """
        parts = urlsplit(url.removeprefix(_PREFIX))
        if not url.startswith(_PREFIX) or not parts.scheme:
            raise TaskSetupError(f"This is no URL of a Celery engine: {_shown(url)}. {_EXAMPLE}")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        ours: dict[str, Any] = {name: given.pop(name) for name in _ours() & given.keys()}
        for name in ours.keys() - {"queue"}:
            ours[name] = _seconds(name, ours[name])
        return cls(broker=urlunsplit(parts._replace(query=urlencode(given))), **ours)

    @property
    def is_redis(self) -> bool:
        """Whether the broker is Redis."""
        return urlsplit(self.broker).scheme in {"redis", "rediss", "sentinel"}

    @property
    def shown(self) -> str:
        """The broker's URL without its password."""
        return _shown(self.broker)


def _ours() -> set[str]:
    return {field.name for field in fields(CelerySettings)} - {"broker"}


def _shown(url: str) -> str:
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who.partition(':')[0]}{at}{where}", query=""))


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 10 * 365 * 86400:
        raise TaskSetupError(f"{name}={text!r} is no number of seconds. Write, say, {name}=5")
    return seconds

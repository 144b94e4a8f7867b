"""`CelerySettings`: the settings in the URL of a Celery engine."""

from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dewar.tasks.errors import TaskSetupError

_PREFIX = "celery+"
_EXAMPLE = "Write celery+redis://127.0.0.1:6379/0 or celery+amqp://guest:guest@127.0.0.1//"


@dataclass(frozen=True, kw_only=True, slots=True)
class CelerySettings:
    """Where the broker is, and the timeouts. Times are in seconds.

    Attributes:
        broker: The broker's URL in Celery's form.
        queue: The broker's queue for jobs.
        visibility_timeout: After how long Redis gives a job to another worker if the first has not
            finished it and its parent process has not seen it die. No job may run longer. RabbitMQ
            needs no such timeout, because it notices a lost connection.
        reply_timeout: How long a worker waits for the reply that a job may begin. After that it
            assumes that the submitting process has ended, and begins the job.
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

        Parameters of the query that are not Dewar's stay in the broker's URL.

        Raises:
            TaskSetupError: If it is not such a URL.
        """
        parts = urlsplit(url.removeprefix(_PREFIX))
        if not url.startswith(_PREFIX) or not parts.scheme:
            raise TaskSetupError(
                f"This is not the URL of a Celery engine: {_shown(url)}. {_EXAMPLE}"
            )
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        options: dict[str, Any] = {name: given.pop(name) for name in _names() & given.keys()}
        for name in options.keys() - {"queue"}:
            options[name] = _seconds(name, options[name])
        return cls(broker=urlunsplit(parts._replace(query=urlencode(given))), **options)

    @property
    def is_redis(self) -> bool:
        """Whether the broker is Redis."""
        return urlsplit(self.broker).scheme in {"redis", "rediss", "sentinel"}

    @property
    def shown(self) -> str:
        """The broker's URL without its password."""
        return _shown(self.broker)


def _names() -> set[str]:
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
        raise TaskSetupError(f"{name}={text!r} is not a number of seconds. Write, say, {name}=5")
    return seconds

"""`DaskSettings`: the settings in the URL of a Dask engine."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dewar.tasks.errors import TaskSetupError

_TRANSPORTS = MappingProxyType({"dask": "tcp", "dask+tcp": "tcp", "dask+tls": "tls"})
_PORT = 8786  # the default of ``dask scheduler``


@dataclass(frozen=True, kw_only=True, slots=True)
class DaskSettings:
    """Where the scheduler is. Times are in seconds.

    Attributes:
        transport: "tcp", or "tls" with the certificates of Dask's own configuration.
        host: The scheduler's host.
        port: The scheduler's port.
        connect: How long a submit tries to reach the scheduler.
        reply_timeout: How long a worker waits for the reply that a job may begin. After that it
            gives up the job.
    """

    transport: str
    host: str
    port: int
    connect: float = 4.0
    reply_timeout: float = 30.0

    @property
    def address(self) -> str:
        """The scheduler's address in Dask's form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "DaskSettings":
        """Return the settings of a URL like ``dask://127.0.0.1:8786?connect=2``.

        Raises:
            TaskSetupError: If it is not such a URL.
        """
        try:
            return cls(**_parts_of(url))
        except (KeyError, TypeError, ValueError):
            raise TaskSetupError(
                f"This is not the URL of a Dask engine: {url!r}. Write dask://127.0.0.1:8786 or"
                " dask+tls://..., with options in seconds: ?connect=4&reply_timeout=30"
            ) from None


def _parts_of(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    given = {name: float(text) for name, text in parse_qsl(parts.query)}
    if not parts.hostname or parts.username or not all(time > 0 for time in given.values()):
        raise ValueError(url)
    where = {"host": parts.hostname, "port": parts.port or _PORT}
    return where | {"transport": _TRANSPORTS[parts.scheme]} | given

"""`DaskSettings`: what the URL of a Dask engine says."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dewar.tasks.errors import TaskSetupError

_TRANSPORTS = MappingProxyType({"dask": "tcp", "dask+tcp": "tcp", "dask+tls": "tls"})
_PORT = 8786  # as of ``dask scheduler``


@dataclass(frozen=True, kw_only=True, slots=True)
class DaskSettings:
    """Where the scheduler is. Times are in seconds.

    Attributes:
        transport: "tcp", or "tls", whose certificates are in Dask's own configuration.
        host: The scheduler's.
        port: The scheduler's.
        connect: How long a submit tries to reach the scheduler.
        reply_timeout: How long a worker waits for leave to begin, before it gives the job up.
    """

    transport: str
    host: str
    port: int
    connect: float = 4.0
    reply_timeout: float = 30.0

    @property
    def address(self) -> str:
        """The scheduler's address, as Dask has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "DaskSettings":
        """Return the settings of a URL like ``dask://127.0.0.1:8786?connect=2``.

        Raises:
            TaskSetupError: If it is no such URL.
        """
        try:
            return cls(**_parts_of(url))
        except (KeyError, TypeError, ValueError):
            raise TaskSetupError(
                f"This is no URL of a Dask engine: {url!r}. Write dask://127.0.0.1:8786, or"
                " dask+tls://..., and behind that ?connect=4&reply_timeout=30 in seconds."
            ) from None


def _parts_of(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    given = {name: float(text) for name, text in parse_qsl(parts.query)}
    if not parts.hostname or parts.username or not all(time > 0 for time in given.values()):
        raise ValueError(url)
    where = {"host": parts.hostname, "port": parts.port or _PORT}
    return where | {"transport": _TRANSPORTS[parts.scheme]} | given

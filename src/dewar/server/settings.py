"""What a server can be told, checked before anything is opened."""

from dataclasses import dataclass, field

from dewar.server.errors import SettingsError
from dewar.server.wire.limits import GIB, KIB, Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one server. Durations are in seconds, sizes in bytes.

    Args:
        bind: Where to listen: ``"host:port"``, ``"[::1]:port"`` or ``"unix:/path"``; several
            with commas between. Port 0 takes a free one.
        threads: How many requests may be inside the application at a time.
        processes: How many processes share the address. Only 1 is available yet.
        backlog: Connections that the kernel holds until they are accepted. nginx 511,
            gunicorn 2048, waitress 1024.
        header_timeout: For a request's head, from its first byte. nginx 60, Apache 20 to 40.
        body_timeout: For a body between two parts of it. nginx 60, Apache 20.
        write_timeout: For a client that takes nothing of a response. nginx 60.
        keep_alive: For an idle connection. nginx 75, Apache 5, gunicorn 2; behind a load
            balancer it must be longer than the balancer's own (AWS 60).
        min_rate: Bytes per second that a body must come in with, and a response be taken with,
            on the whole, once its timeout has gone by. Apache ``MinRate=500``.
        graceful_timeout: For requests in flight when the server is told to stop. gunicorn 30.
        max_connections: Open connections; past them a client gets 503. nginx 512 a worker.
        max_request_line: See `Limits`; so for the three after it.
        max_header_count: Fields in a head.
        max_header_bytes: Bytes of a head.
        max_body: Bytes of a body, or ``None`` for no bound.
        buffered_body: Bytes of a body kept in memory before it goes to disk.
        high_water: Bytes of a streamed response that may wait for the client before the
            application is held back. asyncio 64 KiB.
        server_name: The Server field, or ``None`` for none.
        access_log: Whether each response is logged, in the Combined format.

    Raises:
        SettingsError: A value is out of its range.
    """

    bind: str = "127.0.0.1:8000"
    threads: int = 16
    processes: int = 1
    backlog: int = 2048
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    write_timeout: float = 30.0
    keep_alive: float = 75.0
    min_rate: int = 500
    graceful_timeout: float = 30.0
    max_connections: int = 8192
    max_request_line: int = 8190
    max_header_count: int = 100
    max_header_bytes: int = 64 * KIB
    max_body: int | None = GIB
    buffered_body: int = 512 * KIB
    high_water: int = 64 * KIB
    server_name: str | None = "Dewar"
    access_log: bool = False
    limits: Limits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_seconds()
        if self.processes > 1:
            raise SettingsError(
                f"processes={self.processes} is not available yet. Use processes=1 with more"
                " threads, or start several servers behind a proxy."
            )
        if self.server_name is not None and not self.server_name.isprintable():
            raise SettingsError(f"server_name={self.server_name!r} must be printable text.")
        limits = Limits(
            request_line=self.max_request_line,
            header_count=self.max_header_count,
            header_bytes=self.max_header_bytes,
            body=self.max_body,
            buffered_body=self.buffered_body,
        )
        object.__setattr__(self, "limits", limits)  # frozen, but this is its construction

    def _check_counts(self) -> None:
        names = (
            "threads processes backlog max_connections max_request_line max_header_count"
            " max_header_bytes high_water"
        )
        for name in names.split():
            self._check_whole(name, 1)
        self._check_whole("buffered_body", 0)
        self._check_whole("min_rate", 0)
        if self.max_body is not None:
            self._check_whole("max_body", 0)

    def _check_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SettingsError(f"{name}={value!r} must be a whole number, {least} or more.")

    def _check_seconds(self) -> None:
        names = "header_timeout body_timeout write_timeout keep_alive graceful_timeout"
        for name in names.split():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise SettingsError(f"{name}={value!r} must be a number of seconds, 0 or more.")

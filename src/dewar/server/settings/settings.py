"""What a server can be told, checked before anything is opened."""

import ssl
from dataclasses import dataclass, field

from dewar.server.errors import SettingsError
from dewar.server.settings.process_support import check_processes
from dewar.server.settings.proxy_checks import check_script_name, check_trust
from dewar.server.settings.table import SETTINGS
from dewar.server.system.tls import check_choice
from dewar.server.wire.limits import GIB, KIB, Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one server. Durations are in seconds, sizes in bytes.

    Args:
        bind: Where to listen: ``"host:port"``, ``"[::1]:port"`` or ``"unix:/path"``; several
            with commas between. Port 0 takes a free one. ``"systemd"``, ``"systemd:name"`` and
            ``"fd://3"`` stand for sockets that are open already.
        threads: How many requests may be inside the application at a time.
        processes: How many processes share the address; more than 1 needs a system that can fork.
        preload: Whether the application is loaded once, before the processes are forked.
        max_requests: Requests after which a process is replaced; 0 for never. gunicorn 0.
        max_requests_jitter: Up to how many more it may answer, chosen at random, so that not all
            processes are replaced at once.
        worker_timeout: For a process in which no thread comes back, before it is replaced; 0 for
            any time. gunicorn 30.
        pid_file: Where to write the number of the process that takes signals.
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
        max_queue: Complete requests that may wait for a thread; past them a client gets 503.
        max_request_line: See `Limits`; so for the three after it.
        max_header_count: Fields in a head.
        max_header_bytes: Bytes of a head.
        max_body: Bytes of a body, or ``None`` for no bound.
        buffered_body: Bytes of a body kept in memory before it goes to disk.
        high_water: Bytes of a streamed response that may wait for the client before the
            application is held back. asyncio 64 KiB.
        server_name: The Server field, or ``None`` for none.
        access_log: Whether each response is logged.
        access_log_format: ``"combined"`` or ``"json"``.
        access_log_file: Where the lines of the access log go, if there is one; ``None`` leaves it
            to `logging`.
        metrics: Where to listen for requests for the statistics; written as *bind* is.
        certfile: A PEM file with the certificate and its chain; turns TLS on.
        keyfile: The PEM file of its key, where that is not in *certfile*.
        client_ca: A PEM file of authorities; clients must show a certificate of theirs.
        ssl_context: An `ssl.SSLContext`, in place of these three.
        trusted_hosts: Addresses and networks of the proxies in front, with commas between;
            ``"unix"`` stands for UNIX sockets, ``"*"`` for all.
        forwarded_headers: What trusted hosts say of the client in: ``"auto"``, ``"x-forwarded"``
            or ``"forwarded"`` (RFC 7239).
        proxy_protocol: Whether trusted hosts begin a connection with a PROXY line or header.
        script_name: The path that the application is mounted at, such as ``"/shop"``.
        unix_mode: The permissions of UNIX sockets in octal, such as ``"660"``.

    Raises:
        SettingsError: A value is out of its range.
    """

    bind: str = "127.0.0.1:8000"
    threads: int = 16
    processes: int = 1
    preload: bool = False
    max_requests: int = 0
    max_requests_jitter: int = 0
    worker_timeout: float = 60.0
    pid_file: str | None = None
    backlog: int = 4096
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    write_timeout: float = 30.0
    keep_alive: float = 75.0
    min_rate: int = 500
    graceful_timeout: float = 30.0
    max_connections: int = 16384
    max_queue: int = 1024
    max_request_line: int = 8190
    max_header_count: int = 100
    max_header_bytes: int = 64 * KIB
    max_body: int | None = GIB
    buffered_body: int = 512 * KIB
    high_water: int = 64 * KIB
    server_name: str | None = "Dewar"
    access_log: bool = False
    access_log_format: str = "combined"
    access_log_file: str | None = None
    metrics: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    client_ca: str | None = None
    ssl_context: ssl.SSLContext | None = None
    trusted_hosts: str = ""
    forwarded_headers: str = "auto"
    proxy_protocol: bool = False
    script_name: str = ""
    unix_mode: str | None = None
    limits: Limits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            value = getattr(self, setting.name)
            if not setting.holds(value):
                raise SettingsError(
                    f"{setting.name}={value!r} must be {setting.expected}.", setting.name
                )
        self._check_tls_and_proxies()
        check_processes(self.processes, self.max_requests)
        limits = Limits(
            request_line=self.max_request_line,
            header_count=self.max_header_count,
            header_bytes=self.max_header_bytes,
            body=self.max_body,
            buffered_body=self.buffered_body,
        )
        object.__setattr__(self, "limits", limits)  # frozen, but this is its construction

    @property
    def scheme(self) -> str:
        """What clients speak with the server: ``"https"`` or ``"http"``."""
        is_plain = self.certfile is None and self.ssl_context is None
        return "http" if is_plain else "https"

    def _check_tls_and_proxies(self) -> None:
        check_choice(self.ssl_context, self.certfile, self.keyfile, self.client_ca)
        check_trust(self.trusted_hosts, self.proxy_protocol)
        if self.script_name:
            check_script_name(self.script_name)

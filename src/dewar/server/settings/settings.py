"""`Settings`: all settings of a server, checked before anything is opened.

Everything about a setting is in its field: name, type, default, limits, help and command line. The
comments have the defaults of other servers.
"""

import os
import ssl
from dataclasses import dataclass, field, fields

from dewar.server.errors import SettingsError
from dewar.server.settings.forwarded_fields import USUAL, parse_forwarded_headers
from dewar.server.settings.kinds import (
    Choice,
    CommaList,
    Duration,
    FilePath,
    FolderPath,
    MountPath,
    Permissions,
    ProductToken,
    PythonObject,
    Size,
    Switch,
    WholeNumber,
)
from dewar.server.settings.proxy_checks import check_script_name, check_trust
from dewar.server.settings.setting import Setting, SettingGroup, setting, setting_of
from dewar.server.system.tls import check_choice
from dewar.server.wire.limits import GIB, KIB, Limits

_ADDRESS, _WORK, _DEADLINES = SettingGroup.ADDRESS, SettingGroup.WORK, SettingGroup.DEADLINES
_LIMITS, _LOGS = SettingGroup.LIMITS, SettingGroup.LOGS
_TLS, _PROXY = SettingGroup.TLS, SettingGroup.PROXY

_ADDRESSES = CommaList(
    "ADDRESS",
    "'host:port', '[::1]:port' or 'unix:/path', several with commas or, in a file, as an array",
    least=1,
)
_NETWORKS = CommaList(
    "NETWORK", "such as '127.0.0.1,10.0.0.0/8', with commas or, in a file, as an array"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one server. Durations are in seconds, sizes in bytes.

    Raises:
        SettingsError: A value is out of its range.
    """

    bind: str = setting(
        "127.0.0.1:8000", _ADDRESS, _ADDRESSES,
        "'host:port', '[ipv6]:port', 'unix:/path', or sockets that are open already: 'systemd',"
        " 'systemd:name', 'fd://3'. Port 0 takes a free port.",
        "-b",
    )  # fmt: skip
    backlog: int = setting(  # nginx 511, gunicorn 2048, waitress 1024
        4096, _ADDRESS, WholeNumber(1), "Connections that the system queues until accepted."
    )
    unix_mode: str | None = setting(
        "600", _ADDRESS, Permissions(),
        "Permissions of UNIX sockets, such as 660; 'none' leaves them to the umask.",
    )  # fmt: skip
    ipv6_only: bool = setting(
        False, _ADDRESS, Switch(), "Take IPv6 clients only on [::], and no IPv4 clients."
    )
    server_name: str | None = setting(
        "Dewar", _ADDRESS, ProductToken(), "The Server field of responses.",
        # app.config.from_prefixed_env() reads DEWAR_SERVER_NAME for the application.
        variable="DEWAR_RUN_SERVER_NAME",
    )  # fmt: skip

    threads: int = setting(
        16, _WORK, WholeNumber(1), "Requests inside the app at a time, in each process.", "-t"
    )
    processes: int = setting(
        1, _WORK, WholeNumber(1),
        "Processes that share the address; more than 1 needs a system that can fork.",
        "-w", "--workers",
    )  # fmt: skip
    chdir: str | None = setting(
        None, _WORK, FolderPath(), "The working directory; each worker enters it by its name."
    )
    preload: bool = setting(
        False, _WORK, Switch(), "Load the app once, before the processes are forked."
    )
    max_requests: int = setting(  # gunicorn 0
        0, _WORK, WholeNumber(), "Replace a process after this many requests; 0 for never."
    )
    max_requests_jitter: int = setting(
        0, _WORK, WholeNumber(),
        "Add up to this many at random, so that not all processes are replaced at once.",
    )  # fmt: skip
    worker_timeout: float = setting(  # gunicorn 30
        60.0, _WORK, Duration(),
        "Replace a process in which no thread comes back for this long; 0 for never.",
    )  # fmt: skip
    graceful_timeout: float = setting(  # gunicorn 30
        30.0, _WORK, Duration(), "For requests in flight when the server stops."
    )
    pid_file: str | None = setting(
        None, _WORK, FilePath(), "Where to write the id of the process that takes signals."
    )

    header_timeout: float = setting(  # nginx 60, Apache 20 to 40
        15.0, _DEADLINES, Duration(), "For the head of a request, from its first byte."
    )
    body_timeout: float = setting(  # nginx 60, Apache 20
        30.0, _DEADLINES, Duration(), "Between two parts of a request body."
    )
    write_timeout: float = setting(  # nginx 60
        30.0, _DEADLINES, Duration(), "For a client that reads nothing of a response."
    )
    keep_alive: float = setting(  # nginx 75, Apache 5, gunicorn 2; the load balancers of AWS 60
        75.0, _DEADLINES, Duration(),
        "For an idle connection; behind a load balancer, more than the balancer's timeout.",
    )  # fmt: skip
    min_rate: int = setting(  # Apache MinRate=500
        500, _DEADLINES, WholeNumber(),
        "Bytes per second of a body or a response, on average, once its timeout has passed.",
    )  # fmt: skip

    max_connections: int = setting(  # nginx 512 a worker
        16384, _LIMITS, WholeNumber(1), "Open connections; above it the longest idle one is closed."
    )
    max_queue: int = setting(
        1024, _LIMITS, WholeNumber(1), "Requests that wait for a thread; above it 503."
    )
    # Each needs up to two more descriptors, of a duplicate or a socket pair.
    websocket_threads: int = setting(
        100, _LIMITS, WholeNumber(),
        "WebSockets with a thread each, as Flask's extensions open them, in each process; above it"
        " 503. Those of coroutine functions need one at most until they are open.",
    )  # fmt: skip
    # The defaults of the next six are explained in `Limits`.
    max_request_line: int = setting(
        8190, _LIMITS, Size(1), "Method, target and version; above it 414."
    )
    max_header_count: int = setting(
        100, _LIMITS, WholeNumber(1), "Header fields of a request; above it 431."
    )
    max_header_bytes: int = setting(64 * KIB, _LIMITS, Size(1), "A request head; above it 431.")
    max_body: int | None = setting(GIB, _LIMITS, Size(), "A request body; above it 413.")
    buffered_body: int = setting(
        512 * KIB, _LIMITS, Size(), "The part of a body that stays in memory; the rest is on disk."
    )
    max_spooled: int | None = setting(  # nginx and Apache have no limit
        4 * GIB, _LIMITS, Size(), "All bodies on disk at a time, in each process; above it 503."
    )
    high_water: int = setting(  # asyncio 64 KiB
        64 * KIB, _LIMITS, Size(1), "The part of a streamed response that waits for the client."
    )

    access_log: bool = setting(
        False, _LOGS, Switch(), "Log each response; 'dewar run' turns it on in debug mode."
    )
    access_log_format: str = setting(
        "combined", _LOGS, Choice("combined", "json"), "The format of a line."
    )
    access_log_file: str | None = setting(
        None, _LOGS, FilePath(), "File for the lines; 'dewar run' then turns the access log on."
    )
    metrics: str | None = setting(
        None, _LOGS, _ADDRESSES, "Where to serve statistics for Prometheus; written as --bind."
    )

    certfile: str | None = setting(
        None, _TLS, FilePath(), "The certificate and its chain in PEM; turns TLS on.", "--cert"
    )
    keyfile: str | None = setting(
        None, _TLS, FilePath(), "Its private key, if not in the same file.", "--key"
    )
    client_ca: str | None = setting(
        None, _TLS, FilePath(), "Clients must present a certificate from these authorities."
    )
    ssl_context: ssl.SSLContext | None = setting(  # noqa: RUF009 - it makes a field
        None, _TLS, PythonObject(ssl.SSLContext), "Replaces these three files."
    )

    trusted_hosts: str = setting(
        "", _PROXY, _NETWORKS,
        "The proxies in front: addresses, networks, 'unix' or '*' for all, with commas.",
        # app.config.from_prefixed_env() reads DEWAR_TRUSTED_HOSTS for the application.
        variable="DEWAR_RUN_TRUSTED_HOSTS",
    )  # fmt: skip
    forwarded_headers: str = setting(
        USUAL, _PROXY,
        CommaList("FIELDS", f"field names, such as '{USUAL}', with commas or as an array"),
        "The fields in which trusted hosts are believed; all others of their kind are removed.",
    )  # fmt: skip
    proxy_protocol: bool = setting(
        False, _PROXY, Switch(), "Trusted hosts begin a connection with a PROXY line or header."
    )
    script_name: str = setting(
        "", _PROXY, MountPath(), "The path that the app is mounted at, such as /shop."
    )

    limits: Limits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for one in SETTINGS:
            value = getattr(self, one.name)
            if not one.holds(value):
                raise SettingsError(f"{one.name}={value!r} must be {one.expected}.", one.name)
        check_choice(self.ssl_context, self.certfile, self.keyfile, self.client_ca)
        check_trust(self.trusted_hosts, self.proxy_protocol)
        parse_forwarded_headers(self.forwarded_headers)
        if self.script_name:
            check_script_name(self.script_name)
        _check_fork(processes=(self.processes, 1), max_requests=(self.max_requests, 0))
        limits = Limits(
            request_line=self.max_request_line,
            header_count=self.max_header_count,
            header_bytes=self.max_header_bytes,
            body=self.max_body,
            buffered_body=self.buffered_body,
            spooled=self.max_spooled,
        )
        object.__setattr__(self, "limits", limits)  # frozen, but this is its construction

    @property
    def scheme(self) -> str:
        """The scheme of the server's URLs: ``"https"`` or ``"http"``."""
        is_plain = self.certfile is None and self.ssl_context is None
        return "http" if is_plain else "https"

    @property
    def needs_supervisor(self) -> bool:
        """Whether worker processes serve, which a supervisor makes and replaces."""
        return self.processes > 1 or self.max_requests > 0


#: All settings, in the order in which help and files show them.
SETTINGS: tuple[Setting, ...] = tuple(setting_of(f) for f in fields(Settings) if f.init)

if Settings.__doc__:  # None under python -OO
    Settings.__doc__ += "\n\nArgs:\n" + "\n".join(f"    {s.name}: {s.help}" for s in SETTINGS)


def _check_fork(**settings: tuple[int, int]) -> None:
    """Refuse a setting that needs `os.fork` on a system without it.

    Args:
        settings: For each setting its value, and the highest one that needs no fork.
    """
    if hasattr(os, "fork"):
        return
    for name, (value, most) in settings.items():
        if value > most:
            raise SettingsError(
                f"{name}={value} needs a system that can fork, and this one cannot. Use"
                f" {name}={most} with more threads, or start several servers behind a proxy."
            )

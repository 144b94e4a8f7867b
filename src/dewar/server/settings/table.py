"""The table of settings: one row for each field of `Settings`, in the order they are shown in.

Checks, flags, variables, files, help and the reference page all go by it.
"""

import ssl
from dataclasses import dataclass
from enum import Enum

from dewar.server.settings.kinds import (
    Choice,
    CommaList,
    Duration,
    FilePath,
    MountPath,
    Permissions,
    ProductToken,
    PythonObject,
    SettingKind,
    Size,
    Switch,
    WholeNumber,
)

#: What stands for None in text and TOML, which have no word of their own for it.
NONE = "none"


class SettingGroup(Enum):
    """The sections that settings are shown in."""

    ADDRESS = "Where to listen"
    WORK = "Threads and processes"
    DEADLINES = "Deadlines"
    LIMITS = "Limits"
    LOGS = "Logs and metrics"
    TLS = "TLS"
    PROXY = "Behind a proxy"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: The field of `Settings`.
        group: The section it is shown in.
        kind: What it may be.
        help: One line.
        optional: Whether it may be None.
        aliases: More spellings of its flag.
        own_variable: Its environment variable, where that does not follow from the name.
    """

    name: str
    group: SettingGroup
    kind: SettingKind
    help: str
    optional: bool = False
    aliases: tuple[str, ...] = ()
    own_variable: str = ""

    @property
    def has_text(self) -> bool:
        """Whether it can be given as text at all."""
        return not isinstance(self.kind, PythonObject)

    @property
    def flag(self) -> str:
        """How a command line spells it; one that is on or off has ``--no-…`` too."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable that it may come from."""
        return self.own_variable or f"DEWAR_{self.name.upper()}"

    @property
    def expected(self) -> str:
        """What a value must be, as the end of "must be …"."""
        return f"{self.kind.expected}, or None" if self.optional else self.kind.expected

    @property
    def written(self) -> str:
        """The same for text and TOML."""
        return f"{self.kind.written}, or '{NONE}'" if self.optional else self.kind.written

    def holds(self, value: object) -> bool:
        """Return whether `Settings` may have *value*."""
        return (value is None and self.optional) or self.kind.holds(value)

    def read(self, text: str) -> object:
        """Return the value that a flag or a variable stands for.

        Raises:
            ValueError: It stands for none.
        """
        return None if self._is_none(text) else self.kind.read(text)

    def accept(self, given: object) -> object:
        """Return the value that a file's stands for.

        Raises:
            ValueError: It stands for none.
        """
        return None if self._is_none(given) else self.kind.accept(given)

    def write(self, value: object) -> str:
        """Return *value* as TOML, which `accept` takes for the same value."""
        return f'"{NONE}"' if value is None else self.kind.write(value)

    def _is_none(self, given: object) -> bool:
        return self.optional and isinstance(given, str) and given.strip().lower() == NONE


_ADDRESS, _WORK, _DEADLINES = SettingGroup.ADDRESS, SettingGroup.WORK, SettingGroup.DEADLINES
_LIMITS, _LOGS, _TLS, _PROXY = (
    SettingGroup.LIMITS,
    SettingGroup.LOGS,
    SettingGroup.TLS,
    SettingGroup.PROXY,
)

_ADDRESSES = CommaList(
    "ADDRESS",
    "'host:port', '[::1]:port' or 'unix:/path', several with commas or, in a file, as an array",
    least=1,
)
_NETWORKS = CommaList(
    "NETWORK", "such as '127.0.0.1,10.0.0.0/8', with commas or, in a file, as an array"
)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "bind", _ADDRESS, _ADDRESSES,
        "'host:port', '[ipv6]:port' or 'unix:/path'; port 0 takes a free one.",
        aliases=("-b",),
    ),
    Setting("backlog", _ADDRESS, WholeNumber(1), "Connections that the system queues."),
    Setting("unix_mode", _ADDRESS, Permissions(), "Permissions of UNIX sockets.", optional=True),
    Setting(
        # Not DEWAR_SERVER_NAME: app.config.from_prefixed_env() reads that for the application.
        "server_name", _ADDRESS, ProductToken(), "The Server field of responses.", optional=True,
        own_variable="DEWAR_RUN_SERVER_NAME",
    ),
    Setting(
        "threads", _WORK, WholeNumber(1), "Requests inside the app at a time, in each process.",
        aliases=("-t",),
    ),
    Setting(
        "processes", _WORK, WholeNumber(1), "Processes that share the address.", aliases=("-w",),
    ),
    Setting("preload", _WORK, Switch(), "Load the app once, before the processes are forked."),
    Setting("max_requests", _WORK, WholeNumber(), "Replace a process after so many; 0 for never."),
    Setting("max_requests_jitter", _WORK, WholeNumber(), "Up to so many more, chosen at random."),
    Setting("worker_timeout", _WORK, Duration(), "Replace a process that is stuck so long."),
    Setting("graceful_timeout", _WORK, Duration(), "For requests in flight at a stop."),
    Setting("pid_file", _WORK, FilePath(), "Where to write the process number.", optional=True),
    Setting("header_timeout", _DEADLINES, Duration(), "For the head of a request."),
    Setting("body_timeout", _DEADLINES, Duration(), "Between two parts of a body."),
    Setting("write_timeout", _DEADLINES, Duration(), "For a client that takes nothing."),
    Setting("keep_alive", _DEADLINES, Duration(), "For an idle connection."),
    Setting(
        "min_rate", _DEADLINES, WholeNumber(),
        "Bytes per second of a body or a response, once its timeout has gone by.",
    ),
    Setting("max_connections", _LIMITS, WholeNumber(1), "Open connections; then 503."),
    Setting("max_queue", _LIMITS, WholeNumber(1), "Requests that wait for a thread; then 503."),
    Setting("max_request_line", _LIMITS, Size(1), "Method, target and version; then 414."),
    Setting("max_header_count", _LIMITS, WholeNumber(1), "Fields of a head; then 431."),
    Setting("max_header_bytes", _LIMITS, Size(1), "A whole head; then 431."),
    Setting("max_body", _LIMITS, Size(), "A body; then 413.", optional=True),
    Setting("buffered_body", _LIMITS, Size(), "Of a body in memory; the rest is on disk."),
    Setting("high_water", _LIMITS, Size(1), "Of a stream waiting for its client."),
    Setting("access_log", _LOGS, Switch(), "Log each request; on in debug mode."),
    Setting("access_log_format", _LOGS, Choice("combined", "json"), "What a line looks like."),
    Setting(
        "access_log_file", _LOGS, FilePath(), "Where the lines go; turns --access-log on.",
        optional=True,
    ),
    Setting(
        "metrics", _LOGS, _ADDRESSES,
        "Where to serve statistics for Prometheus.", optional=True,
    ),
    Setting(
        "certfile", _TLS, FilePath(), "Certificate and chain in PEM; turns TLS on.",
        optional=True, aliases=("--cert",),
    ),
    Setting(
        "keyfile", _TLS, FilePath(), "Its key, where not in the same file.",
        optional=True, aliases=("--key",),
    ),
    Setting(
        "client_ca", _TLS, FilePath(), "Clients must show a certificate of these authorities.",
        optional=True,
    ),
    Setting("ssl_context", _TLS, PythonObject(ssl.SSLContext), "Not the files.", optional=True),
    Setting(
        # Not DEWAR_TRUSTED_HOSTS: app.config.from_prefixed_env() reads that for the application.
        "trusted_hosts", _PROXY, _NETWORKS,
        "Proxies to believe: addresses, networks, 'unix' or '*', with commas.",
        own_variable="DEWAR_RUN_TRUSTED_HOSTS",
    ),
    Setting(
        "forwarded_headers", _PROXY, Choice("auto", "x-forwarded", "forwarded"),
        "What trusted hosts tell of the client in.",
    ),
    Setting("proxy_protocol", _PROXY, Switch(), "Trusted hosts send a PROXY line or header."),
    Setting("script_name", _PROXY, MountPath(), "The path that the app is mounted at."),
)  # fmt: skip

"""How many files and sockets this process may have open."""

import logging
import sys

if sys.platform != "win32":  # which has no such limit
    import resource

_logger = logging.getLogger("dewar.server")

# For what is neither a connection nor a file that is being sent: modules, logs, the application's
# own connections.
_SPARE = 256


def raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit of this process as far as *connections* need it.

    It is 1024 on most systems, and a program may raise it up to the hard one by itself. Where
    that is too low, the log says so: connections past it wait until others are closed.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    except (OSError, ValueError):
        within = soft  # a sandbox, or macOS with a bound of its own
    if within < wanted:
        _logger.warning(
            "This process may open %d files, and max_connections=%d needs %d. Raise the limit"
            " (ulimit -n, systemd's LimitNOFILE=) or lower max_connections.",
            within, connections, wanted,
        )  # fmt: skip

"""The limit of open files and sockets of this process."""

import logging
import sys

if sys.platform != "win32":  # which has no such limit
    import resource

_logger = logging.getLogger("dewar.server")

# Descriptors for other things than connections and the files they send: modules, logs, the
# application's connections.
_SPARE = 256


def raise_descriptor_limit(connections: int, more: int = 0) -> None:
    """Raise the soft limit of this process as far as *connections* need it.

    It is 1024 on most systems, and a program may raise it up to the hard limit. If that is too
    low, a warning is logged: connections above it wait until others are closed.

    Args:
        connections: How many there may be.
        more: The descriptors that some of them need in addition.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + more + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    except (OSError, ValueError):
        within = soft  # a sandbox forbids it, or macOS has a lower limit
    if within < wanted:
        _logger.warning(
            "This process may open %d files, and max_connections=%d needs %d. Raise the limit"
            " (ulimit -n, systemd's LimitNOFILE=) or lower max_connections.",
            within, connections, wanted,
        )  # fmt: skip

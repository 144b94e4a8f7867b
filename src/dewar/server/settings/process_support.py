"""Whether this system can do what processes need."""

import os

from dewar.server.errors import SettingsError


def check_processes(processes: int, max_requests: int) -> None:
    """Refuse settings that need `os.fork` where there is none.

    Raises:
        SettingsError: More than one process is asked for, or that one is to be replaced.
    """
    if hasattr(os, "fork"):
        return
    for name, value, most in (("processes", processes, 1), ("max_requests", max_requests, 0)):
        if value > most:
            raise SettingsError(
                f"{name}={value} needs a system that can fork, and this one cannot. Use"
                f" {name}={most} with more threads, or start several servers behind a proxy."
            )


def needs_supervisor(processes: int, max_requests: int) -> bool:
    """Return whether processes have to be made and replaced."""
    return processes > 1 or max_requests > 0

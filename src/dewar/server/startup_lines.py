"""What a server prints to the terminal."""

import sys
from contextlib import suppress

from dewar.server.settings.settings import Settings


def banner(name: str, addresses: tuple[str, ...], settings: Settings) -> str:
    """Return the one line that says where a server listens and how it works."""
    threads, processes = settings.threads, settings.processes
    mode = "1 thread" if threads == 1 else f"{threads} threads"
    if processes > 1:
        mode = f"{processes} processes x {mode}"
    return f"Dewar serving {name} on {', '.join(addresses)} ({mode}) - Ctrl+C stops"


def say(line: str) -> None:
    """Print *line* to the terminal."""
    with suppress(OSError, ValueError):  # the terminal is closed; the server goes on
        print(line, file=sys.stderr, flush=True)  # noqa: T201

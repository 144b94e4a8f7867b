"""Functions for jobs, and their app: light to import, because each child process does."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from dewar import Dewar, current_app, g, has_request_context, request, session
from dewar.tasks.progress import current_job
from polling import eventually

#: Found by child processes under this name.
app = Dewar(__name__, static_folder=None)
app.secret_key = "key"
app.config["PROPAGATE_EXCEPTIONS"] = True


def add(left: int, right: int = 1) -> int:
    return left + right


async def add_soon(left: int, right: int = 1) -> int:
    await asyncio.sleep(0)
    return left + right


def fail(text: str) -> None:
    raise ValueError(text)


def seen() -> tuple[Any, ...]:
    return current_app.name, request.path, request.args.get("n"), g.get("user"), session.get("s")


async def seen_soon() -> tuple[Any, ...]:
    return seen()


def is_outside() -> bool:
    return not has_request_context() and not current_app


def half() -> str:
    current_job.progress(0.5, "half")
    return str(current_job.task)


def wait_for(path: str) -> str:
    """Return when the file is there, and say so in another at once."""
    Path(f"{path}.began").touch()
    wait_until_open(path)
    return path


def wait_until_open(path: str) -> None:
    """Return when the gate is open; unlike `wait_for` it says nothing."""
    eventually(Path(path).exists, "somebody opens the gate")


def say(number: int) -> None:
    time.sleep(0.02)
    os.write(1, f"{number}\n".encode())


def exit_now(code: int) -> None:
    os._exit(code)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

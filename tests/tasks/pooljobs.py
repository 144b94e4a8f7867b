"""Functions for jobs, and their app: light to import, because each child process does."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from dewar import Dewar, current_app, g, has_request_context, request, session
from dewar.tasks.errors import SoftTimeLimitExceeded
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


def wait_to_be_told(path: str) -> str:
    """Say that it has begun, and return when it is to end."""
    Path(f"{path}.began").touch()
    eventually(lambda: current_job.is_cancelled, "somebody stops the job")
    return "told"


def end_when_told(path: str) -> None:
    wait_to_be_told(path)
    current_job.raise_if_cancelled()


async def wait_in_coroutine(path: str) -> None:
    """Clean up when it is cancelled, and end with that."""
    Path(f"{path}.began").touch()
    try:
        await asyncio.Event().wait()
    finally:
        Path(f"{path}.cleaned").touch()


async def return_when_cancelled(path: str) -> bool:
    try:
        await wait_in_coroutine(path)
    except asyncio.CancelledError:
        return bool(current_job.is_cancelled)
    return False


def wait_for_limit() -> None:
    """Run on until the limit ends it."""
    eventually(lambda: False, "the soft limit")


def clean_up_at_limit() -> str:
    try:
        wait_for_limit()
    except SoftTimeLimitExceeded:
        return "cleaned up"
    return "not limited"


async def wait_for_limit_soon() -> None:
    """Wait in a group, whose task is cancelled with it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_wait())


async def _wait() -> None:
    await asyncio.Event().wait()


async def clean_up_at_limit_soon() -> str:
    try:
        await wait_for_limit_soon()
    except SoftTimeLimitExceeded as error:
        return error.name
    return "not limited"


def say(number: int) -> None:
    time.sleep(0.02)
    os.write(1, f"{number}\n".encode())


def exit_now(code: int) -> None:
    os._exit(code)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

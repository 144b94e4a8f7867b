"""Functions that workers of every engine run in tests; they find them by this module's name."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dewar import Dewar, request
from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.progress import current_job
from polling import LIMIT, eventually

app = Dewar("farjobs", static_folder=None)


@dataclass
class Point:
    x: int
    y: int


class Locked(Exception):
    """An exception that cannot be pickled, and has no JSON form."""

    def __init__(self, text: str) -> None:
        super().__init__(text, threading.Lock())


def add(a: int, b: int = 0) -> int:
    return a + b


def mirror(point: Point) -> Point:
    return Point(point.y, point.x)


def fail(text: str) -> NoReturn:
    raise LookupError(text, 3)


def fail_oddly(text: str) -> NoReturn:
    raise Locked(text)


def leave() -> NoReturn:
    raise SystemExit(3)


def note(path: str, text: str = "ran") -> None:
    with Path(path).open("a") as file:
        file.write(f"{text}\n")


def hold(began: str, go: str) -> int:
    """Note the attempt in one file, and wait until another is there."""
    note(began, str(current_job.attempt))
    eventually(Path(go).exists, go)
    return int(current_job.attempt)


def tell(go: str, began: str) -> int:
    current_job.progress(0.25, "a quarter")
    return hold(began, go)


def tell_at_end(began: str, go: str) -> None:
    hold(began, go)
    current_job.progress(1.0, "all")


def die(path: str, times: int) -> int:
    """Kill the process that runs this, so many times."""
    note(path, str(current_job.attempt))
    if current_job.attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return int(current_job.attempt)


def hold_or_end(began: str, go: str) -> str:
    """As `hold`, and return how it ended: by the file, because it was asked, or by its limit."""
    note(began)
    try:
        eventually(lambda: Path(go).exists() or current_job.is_cancelled, go)
    except SoftTimeLimitExceeded:
        return "limited"
    return "asked" if current_job.is_cancelled else "open"


def hold_out(began: str) -> None:
    """Do not listen to friendly words."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(began)
    time.sleep(LIMIT)  # a test that fails must not block a worker for long


def where_from() -> str:
    return request.path


def large(size: int) -> str:
    return "x" * size


def returns_odd() -> Any:
    return object()


def _private() -> None:
    pass

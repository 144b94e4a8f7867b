"""The app of the chaos run: jobs that note each start, and jobs whose results cannot be kept.

Some have a schedule, and some a key. The environment says where its ledger is, where jobs leave
their marks, what they run on, and which file refuses new threads while it is there.
"""

import enum
import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dewar import Dewar
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks

app = Dewar(__name__, instance_path=os.environ["CHAOS_FOLDER"])
app.config.update(
    TASKS_LEDGER=os.environ["CHAOS_LEDGER"],
    TASKS_RUN_JOBS=False,  # in the process that submits; `dewar tasks work` overrides it
    TASKS_POLL=0.1,
    TASKS_LEASE=3.0,
    TASKS_PREFETCH=32,
    TASKS_SHUTDOWN_TIMEOUT=20.0,
)
app.config[os.environ["CHAOS_ENGINE"]] = 4  # TASKS_THREADS or TASKS_PROCESSES
tasks = Tasks(app)


def refuse_threads(file: str) -> None:
    """Let no thread start while *file* exists, as a container at its limit of pids does."""
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if os.path.exists(file):  # noqa: PTH110 - called often
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = start_or_not  # type: ignore[method-assign]


if "CHAOS_NO_THREADS" in os.environ:
    refuse_threads(os.environ["CHAOS_NO_THREADS"])


def mark(kind: str) -> None:
    """Note that this job starts, in one write: processes may be killed at any point."""
    with Path(os.environ["CHAOS_MARKS"]).open("ab", buffering=0) as marks:
        marks.write(f"{current_job.id} {kind} {os.environ.get('CHAOS_WORKER')}\n".encode())


def work() -> None:
    """Take a moment. Under libfaketime `time.sleep` fails."""
    threading.Event().wait(0.002)


@tasks.task(idempotent=True, max_queue=None)
def again(n: int) -> int:
    """May run more than once."""
    mark("again")
    work()
    return n


@tasks.task(idempotent=False, max_queue=None)
def once(n: int) -> int:
    """May not begin twice."""
    mark("once")
    work()
    return n


def key_of(n: int) -> int:
    """Return a key that several jobs have at a time."""
    return n // 10 % 20


def unique(n: int) -> int:
    """May run more than once, but not beside another one with its key."""
    mark("unique")
    work()
    return n


#: One task for each way to treat a second job with a key.
UNIQUE = [
    tasks.task(f"unique {policy}", max_queue=None, unique=key_of, on_duplicate=policy)(unique)
    for policy in ("return", "refuse", "replace")
]


def tick(scheduled_for: datetime | None = None) -> int:
    """Return the due time."""
    assert scheduled_for is not None
    return int(scheduled_for.timestamp())


#: The names of the tasks with a schedule. Jobs of the last one take each other's place.
SCHEDULED = ["tick skip", "tick once", "tick all", "tick replace"]
for name in SCHEDULED[:-1]:
    tasks.task(name, every=1, missed=name.removeprefix("tick "))(tick)
tasks.task(
    SCHEDULED[-1],
    every=1,
    missed="all",
    unique=lambda scheduled_for=None: "latest",
    on_duplicate="replace",
)(tick)


class Unpacked:
    """Cannot be packed, nor shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@dataclass
class Split:
    """Cannot be made again from its fields."""

    tags: Any

    def __post_init__(self) -> None:
        self.tags = self.tags.split(",")


class Kind(enum.Enum):
    """One member is removed after it was returned: the reader of another version has it not."""

    ONE = 1


class UnkindError(Exception):
    """An error whose text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def nested(depth: int) -> list[Any]:
    """Return a list in a list, and so on."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


#: What a job may return or raise, and harm nobody else with.
POISONS: dict[str, Any] = {
    "unpacked": Unpacked,
    "split": lambda: Split("a,b"),
    "nan": lambda: float("nan"),
    "nul": lambda: "a\0b",
    "surrogate": lambda: "\udc80",
    "huge int": lambda: 10**6000,
    "deep": lambda: nested(100_000),
    "large": lambda: "x" * 300_000,
    "thread": threading.Lock,
    "generator": lambda: (n for n in range(3)),
}
ERRORS: dict[str, Any] = {
    "unkind": UnkindError,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "memory": MemoryError,
    "surrogates": lambda: ValueError("\udc80\0"),
}


@tasks.task(idempotent=True, max_queue=None)
def poison(name: str) -> Any:
    """Return or raise what cannot be kept."""
    mark("poison")
    if name in ERRORS:
        error: BaseException = ERRORS[name]()
        raise error
    return POISONS[name]()


def odd_backoff(attempt: int) -> Any:
    """Return no number of seconds."""
    return [None, "soon", float("nan"), -1][attempt % 4]


@tasks.task(idempotent=True, retries=1, backoff=odd_backoff, max_queue=None)
def retried(n: int) -> None:
    """Fail, and have no sensible next time."""
    mark("retried")
    raise ValueError(n)

"""Brokers, clusters and workers as real processes, for tests of engines on other machines."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from deploymenttools import free_port
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.job import Job
from faulttools import is_alive
from polling import LIMIT, eventually

ROOT = Path(__file__).parents[1]
# Seconds for a broker, a cluster or a worker to start. RabbitMQ takes ten on two idle cores.
_START = 150.0


def submit(engine: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Job:
    """Hand a call to an engine as a pool does; its timeouts and `context` are the call's."""
    job = Job()
    job._stop = engine.stop
    context, hard = kwargs.pop("context", None), kwargs.pop("timeout", None)
    soft = kwargs.pop("soft_timeout", None)
    engine.submit(job, JobCall(function, args, kwargs, context, hard, soft))
    return job


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def need(program: str) -> str:
    """Return where a program is, or skip, saying which."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


class Process:
    """A process with all its children, whose output is in a file."""

    def __init__(self, log: Path, *command: str, **environment: str) -> None:
        self.log = log
        paths = [str(ROOT / "src"), str(ROOT / "tests")]
        variables = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                cwd=log.parent,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        """Return what the output has so often, of a regular expression."""

        def found() -> list[str] | None:
            text = self.log.read_text(errors="replace")
            assert self._process.poll() is None, f"it has ended: {text[-2000:]}"
            matches = re.findall(pattern, text)
            return matches if len(matches) >= count else None

        return eventually(found, f"{pattern} in {self.log}", _START)

    def kill(self) -> None:
        """Kill it and all its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(LIMIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # Friendly first, so that nothing is left in temporary folders.
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()


class Redis(Process):
    """A Redis of its own, which may be started again."""

    def __init__(self, folder: Path, port: int, *, keeps: bool) -> None:
        options = ["--appendonly", "yes"] if keeps else ["--save", "", "--appendonly", "no"]
        super().__init__(
            folder / "redis.log",
            need("redis-server"),
            *["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *options],
        )
        self.port = port
        self.url = f"celery+redis://127.0.0.1:{port}/0"
        eventually(lambda: answers(port), "Redis", _START)


class Rabbit:
    """A node of RabbitMQ of its own, which may be stopped and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"celery+amqp://guest:guest@127.0.0.1:{port}//"
        self._port = port
        self._node = f"dewar-{port}@localhost"
        # Where the server runs as a user of its own, that user writes here.
        self._folder = Path(tempfile.mkdtemp(prefix="dewar-rabbit-"))
        self._folder.chmod(0o777)
        config = self._folder / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
        self._log = folder / "rabbit.log"
        self._process: Process | None = None

    def start(self) -> None:
        folder = str(self._folder)
        self._process = Process(
            self._log,
            need("rabbitmq-server"),
            RABBITMQ_NODENAME=self._node,
            RABBITMQ_NODE_PORT=str(self._port),
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=folder,
            RABBITMQ_LOG_BASE=folder,
            RABBITMQ_PID_FILE=f"{folder}/pid",
            RABBITMQ_ENABLED_PLUGINS_FILE=f"{folder}/none",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1 +sbwt none",
            RABBITMQ_CONFIG_FILE=f"{folder}/rabbitmq.conf",
        )
        eventually(lambda: (self._folder / "pid").exists(), "RabbitMQ's process", _START)
        eventually(lambda: answers(self._port), "RabbitMQ", _START)

    def kill(self) -> None:
        """Kill it, as a loss of power would."""
        if self._process is not None:
            # The server may be a user's of its own, in a session of its own.
            file = self._folder / "pid"
            if file.exists():
                pid = int(file.read_text())
                os.kill(pid, signal.SIGKILL)
                file.unlink()
                # Until then it has its port, and its name among the nodes of this host.
                eventually(lambda: not is_alive(pid), "the end of RabbitMQ")
            self._process.kill()
            self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class CeleryWorker(Process):
    """A worker of Celery's for jobs, ready to run them."""

    def __init__(
        self, folder: Path, url: str, *options: str, size: int = 2, allow: str = "farjobs"
    ) -> None:
        log = folder / f"celery-{time.monotonic_ns()}.log"
        super().__init__(
            log,
            *[sys.executable, "-m", "celery", "-A", "dewar.tasks.engines.celery.worker"],
            *["worker", "--concurrency", str(size), "--loglevel", "info"],
            *["--without-mingle", "--without-gossip", "--hostname", f"{log.stem}@%h", *options],
            DEWAR_CELERY=url,
            DEWAR_CELERY_ALLOW=allow,
        )
        self.wait_for(r" ready\.")

    def __exit__(self, *_: object) -> None:
        self.kill()  # which takes no time, and leaves nothing


@contextmanager
def dask_cluster(folder: Path, *, failures: int = 1) -> Iterator[str]:
    """Yield the URL of a cluster with two workers, which run one job at a time each."""
    cli = [sys.executable, "-m", "distributed.cli"]
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
    with dask_scheduler(folder, free_port(), **settings) as scheduler:
        address = scheduler.wait_for(r"Scheduler at: +(tcp://\S+)")[0]
        options = ["--nthreads", "1", "--nworkers", "2", "--no-dashboard"]
        command = [f"{cli[2]}.dask_worker", address, *options, "--local-directory", str(folder)]
        with Process(folder / "workers.log", *cli[:2], *command) as workers:
            workers.wait_for("Starting established connection", 2)
            yield address.replace("tcp://", "dask://")


def dask_scheduler(folder: Path, port: int, **settings: str) -> Process:
    """Return a scheduler."""
    return Process(
        folder / f"scheduler-{time.monotonic_ns()}.log",
        *[sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"],
        *["--port", str(port), "--dashboard-address", "127.0.0.1:0"],
        **settings,
    )

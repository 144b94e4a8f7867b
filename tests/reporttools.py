"""Processes that run the jobs of `reportapp`."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

import reportapp
from dewar.__main__ import main
from polling import eventually
from reportapp import runs

SOON = 30.0

_FORKING = multiprocessing.get_context("forkserver")


def _start_server() -> None:
    """Start the process that imports the app, and forks the workers.

    To import it takes most of a worker's start.
    """
    _FORKING.set_forkserver_preload(["pytest", "dewar.cli.main", "reporttools"])
    with pytest.MonkeyPatch.context() as patch:
        # Python 3.11 does not give it `sys.path`.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        forkserver.ensure_running()


def _work(log: str, gate: str, settings: dict[str, Any]) -> None:
    """Be ``dewar tasks work``; its children import the app when there is a file."""
    os.setsid()
    os.environ["REPORT_GATE"] = gate
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    reportapp.app.config.update(settings)
    reportapp.configure_logging()
    sys.argv = ["dewar", "--app", "reportapp", "tasks", "work"]
    main()


class Workers:
    """``dewar tasks work``, any number of times, for one ledger.

    Args:
        folder: Where its output is kept.
        ledger: The file or URL of the ledger.
    """

    def __init__(self, folder: Path, ledger: str) -> None:
        self.ledger = ledger
        self._folder = folder
        self._started: list[Any] = []
        _start_server()

    def start(self, *, is_ready: bool = True, **settings: Any) -> Any:
        """Start one; with `is_ready`, wait until it runs jobs.

        Args:
            is_ready: Whether to wait.
            settings: As of `Tasks`.
        """
        log = self._folder / f"worker-{len(self._started)}.log"
        config = {f"TASKS_{name.upper()}": value for name, value in settings.items()}
        config["TASKS_LEDGER"] = self.ledger
        worker = _FORKING.Process(target=_work, args=(str(log), str(self._folder / "gate"), config))
        worker.start()
        self._started.append(worker)
        if is_ready:
            eventually(lambda: "runs jobs of" in self.said(worker), lambda: self.said(worker))
        return worker

    def said(self, worker: Any) -> str:
        """Return what one has printed."""
        log = self._folder / f"worker-{self._started.index(worker)}.log"
        return log.read_text() if log.exists() else ""

    def kill(self, worker: Any) -> None:
        """Kill one with all that it has started, as a container's end does."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.join(SOON)

    def stop(self) -> None:
        """Kill all."""
        for worker in self._started:
            if worker.is_alive():
                self.kill(worker)
            worker.close()


@contextmanager
def submitting(folder: Path, ledger: str) -> Iterator[Workers]:
    """Let this process submit to a ledger and run no jobs; yield what starts those that do."""
    config = reportapp.app.config
    before = dict(config)
    config.update(TASKS_LEDGER=ledger, TASKS_RUN_JOBS=False)
    workers = Workers(folder, ledger)
    try:
        yield workers
    finally:
        workers.stop()
        reportapp.tasks.stop(SOON)
        config.clear()
        config.update(before)


def wait_run(path: Path, times: int = 1) -> list[int]:
    """Wait until a job has begun so often; return the processes that ran it."""
    return eventually(lambda: found if len(found := runs(path)) >= times else None, str(path))

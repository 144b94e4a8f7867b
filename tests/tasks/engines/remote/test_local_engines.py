"""The engines of this machine fulfil the contract of all engines."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar.tasks.engines.interface import Ability, JobEngine
from dewar.tasks.engines.processes.engine import ProcessEngine
from dewar.tasks.engines.threads import ThreadEngine
from dewar.tasks.errors import NotSupported
from dewar.tasks.pool import TaskPool
from enginecontract import SLOTS, EngineContract


class TestThreads(EngineContract):
    """The contract of all engines, on threads."""

    def another(self) -> JobEngine:
        return ThreadEngine(SLOTS)

    @pytest.fixture
    def engine(self) -> Iterator[Any]:
        engine = self.another()
        yield engine
        engine.shutdown(wait=True, cancel_futures=True)

    def test_timeout(self, engine: Any, tmp_path: Path) -> None:
        """The pool refuses it before it accepts a job."""
        assert Ability.TIMEOUT not in engine.abilities
        with pytest.raises(NotSupported, match="stop a job after a timeout"):
            TaskPool(engine=engine, timeout=0.5)

    def test_survive_worker(self, engine: Any, tmp_path: Path) -> None:
        """A thread dies with its process, and so does the job."""
        assert Ability.SURVIVE_WORKER not in engine.abilities


@pytest.mark.skipif(os.name == "nt", reason="processes need a UNIX system")
class TestProcesses(EngineContract):
    """The contract of all engines, on processes."""

    def another(self) -> JobEngine:
        return ProcessEngine(SLOTS)

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Any]:
        engine = ProcessEngine(SLOTS)
        yield engine
        engine.shutdown(wait=True, cancel_futures=True)

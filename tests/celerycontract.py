"""`CeleryContract`: the contract of the Celery engine over all brokers."""

from pathlib import Path
from typing import Any

import pytest

import farjobs
from dewar.tasks.engines.celery.engine import CeleryEngine
from dewar.tasks.engines.celery.engine import open as open_celery
from dewar.tasks.engines.execution import perform_remote
from dewar.tasks.errors import (
    JobFailed,
    NotSupported,
    UnknownTask,
    Unreadable,
    Unserializable,
)
from enginecontract import FarContract
from fartools import LIMIT, lines, submit


class CeleryContract(FarContract):
    """Inherited by the tests over each broker."""

    @pytest.fixture(autouse=True)
    def _know(self, broker: str) -> None:
        self.url = broker

    def another(self) -> CeleryEngine:
        return open_celery(self.url)

    def test_an_exception_without_a_json_form_is_described(self, engine: Any) -> None:
        """Its class, text and traceback are known."""
        error = submit(engine, farjobs.fail_oddly, "odd").exception(LIMIT)
        assert isinstance(error, JobFailed)
        assert error.type == "farjobs:Locked"
        assert "in fail_oddly" in error.traceback

    def test_a_result_without_a_json_form_fails_its_job(self, engine: Any) -> None:
        """The error says which."""
        error = submit(engine, farjobs.returns_odd).exception(LIMIT)
        assert isinstance(error, Unserializable)
        assert "result" in str(error)

    def test_a_large_result_comes_back(self, engine: Any) -> None:
        """A result is a message without a limit of its size."""
        assert len(submit(engine, farjobs.large, 5_000_000).result(LIMIT)) == 5_000_000

    def test_what_has_no_json_form_is_refused_at_once(self, engine: Any) -> None:
        """Nothing was accepted."""
        before = engine.statistics()
        with pytest.raises(Unserializable):
            submit(engine, farjobs.add, object())
        with pytest.raises(NotSupported, match="lambda"):
            submit(engine, lambda: 1)
        assert engine.statistics() == before

    def test_a_worker_runs_only_what_it_may(self, engine: Any) -> None:
        """It refuses a function outside of the allowed modules."""
        with pytest.raises(UnknownTask, match="DEWAR_CELERY_ALLOW"):
            submit(engine, lines, Path("/")).result(LIMIT)

    def test_what_a_task_of_a_ledger_would_import_is_checked(self, engine: Any) -> None:
        """So are its packed arguments, which only the task unpacks."""
        address = {"task": "t", "app": "farjobs:app", "module": "", "qualname": ""}
        packed = '[[{"$dataclass": ["antigravity:Point", {}]}], {}]'
        job = submit(engine, perform_remote, address, packed, "id", 1)
        with pytest.raises(Unreadable, match="antigravity"):
            job.result(LIMIT)

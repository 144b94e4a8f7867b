"""Workflows whose processes are killed at each step, wherever the ledger is."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dewar import Tasks, chain, group
from dewar.tasks.ledger import batch_writing
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState

_RESULT = [[[[[[None, "a"], "b"], "c"], [[[None, "a"], "b"], "d"]], "e"], "f"]


class Mortal:
    """A process that runs a workflow, and kills itself once at each place that a test names.

    A place is ``begin:<step>`` (in its function), ``before`` or ``after`` (the commit of each
    transaction that releases a job).
    """

    def __init__(self, where: str, folder: Path, places: list[str]) -> None:
        self.folder = folder
        self.places = places
        self.tasks = Tasks(ledger=where, threads=2, poll=0.05)
        self.step = self.tasks.task("step")(self._step)

    def run(self, id: str, note: Callable[[str], object]) -> None:
        """Submit the workflow if it has no id yet, and wait for its end."""
        self._watch_commits()
        step = self.step
        if not id:
            steps = chain(
                step.s(None, "a"),
                step.s("b"),
                group(step.s("c"), step.s("d")),
                step.s("e"),
                step.s("f"),
            )
            id = steps.submit().id
            note(id)
        assert self.tasks.get_workflow(id).result(60) == _RESULT
        self.tasks.stop(20)

    def _step(self, before: Any, name: str) -> Any:
        log = os.open(self.folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(log, f"{name}\n".encode())
        os.close(log)
        self._maybe_die(f"begin:{name}", f"begin-{name}")
        return [before, name]

    def _watch_commits(self) -> None:
        settle, note_settled = batch_writing.settle, NotifyingLedger._note_settled

        def settle_and_die(*args: Any) -> Any:
            settled = settle(*args)
            for id in settled.released:
                self._maybe_die("before", f"before-{id}")
            return settled

        def die_after(ledger: NotifyingLedger, settled: Any) -> None:
            for id in settled.released:
                self._maybe_die("after", f"after-{id}")
            note_settled(ledger, settled)

        batch_writing.settle = settle_and_die
        NotifyingLedger._note_settled = die_after  # type: ignore[method-assign]

    def _maybe_die(self, place: str, mark: str) -> None:
        if place not in self.places:
            return
        try:
            os.close(os.open(self.folder / mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return  # it was killed here before
        os.kill(os.getpid(), signal.SIGKILL)


def run_until_done(where: str, folder: Path, places: list[str]) -> tuple[str, int]:
    """Start processes until one does not die; return the workflow and how many have died."""
    name, died = folder / "id", 0
    while True:
        pid = os.fork()
        if not pid:
            code = 99
            try:
                id = name.read_text() if name.exists() else ""
                Mortal(where, folder, places).run(id, name.write_text)
                code = 0
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == 0:
            return name.read_text(), died
        assert status == -signal.SIGKILL
        died += 1


class CrashContract:
    """Inherited by the tests of each database, which say where it is."""

    @pytest.fixture
    def where(self) -> str:
        raise NotImplementedError

    @pytest.mark.parametrize(
        ("places", "deaths"),
        [
            ([f"begin:{name}" for name in "abcdef"], {5, 6}),
            (["before"], {4, 5}),
            (["after"], {4, 5}),
        ],
        ids=["begin", "before", "after"],
    )
    def test_no_step_is_lost_and_none_runs_too_often(
        self, where: str, tmp_path: Path, places: list[str], deaths: set[int]
    ) -> None:
        """In the functions, and before and after the commits that release the next steps."""
        id, died = run_until_done(where, tmp_path, places)
        assert died in deaths
        begun = Counter((tmp_path / "log").read_text().split())
        ledger = open_ledger(where)
        jobs = ledger.workflows.jobs(id)
        ledger.close()
        assert {job.state for job in jobs} == {JobState.DONE}
        assert set(begun) == set("abcdef")
        # Each death costs the attempts that ran then, of which there are two at most.
        assert sum(begun.values()) <= len(jobs) + 2 * died
        assert all(job.attempts <= begun[name] for job, name in zip(jobs, "abcdef", strict=True))

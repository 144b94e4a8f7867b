"""Looking again and again, with and without a terminal."""

import io
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from dewar.cli.job_screen import show_live
from dewar.cli.job_texts import job_line
from dewar.cli.job_watching import Jobs, looks, print_changes, until_final, watch
from dewar.tasks.errors import MissingExtra
from dewar.tasks.ledger.records import JobRecord, JobState

JOB = JobRecord(
    id="a" * 36,
    task="[bold]resize",
    state=JobState.RUNNING,
    arguments="[[], {}]",
    context=None,
    owner="me",
    attempts=1,
    idempotent=True,
    created=0.0,
    due=0.0,
    started=0.0,
    finished=None,
    fraction=0.5,
    message="half\x1b[2J",
    result=None,
    error=None,
    callback=None,
)
OTHER = replace(JOB, id="b" * 36, state=JobState.QUEUED, fraction=None, message=None)
DONE = replace(JOB, state=JobState.DONE, fraction=1.0)


def text(job: JobRecord) -> str:
    return f"{job.id[0]} {job.state.value}"


def test_nothing_is_read_until_something_has_changed() -> None:
    """The first time always; then after a pause, where the ledger says so."""
    numbers = iter([1, 1, 1, 2, 2, 3])
    pauses: list[int] = []
    read: list[Jobs] = []

    def look() -> Jobs:
        read.append([JOB])
        return [JOB]

    with pytest.raises(RuntimeError):  # a StopIteration: the numbers are at their end
        list(looks(look, lambda: next(numbers), lambda: pauses.append(1)))
    assert (len(read), len(pauses)) == (3, 6)


def test_looking_ends_with_the_last_job() -> None:
    """The look that finds all jobs ended is the last, and is seen."""
    looked = iter([[JOB, OTHER], [DONE, OTHER], [DONE, DONE], [DONE]])
    assert len(list(until_final(looked))) == 3
    assert next(looked) == [DONE]


def test_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is as it was is not printed again."""
    print_changes([[JOB, OTHER], [JOB, OTHER], [DONE, OTHER]], text)
    assert capsys.readouterr().out.splitlines() == ["a running", "b queued", "a done"]


def test_lines_are_for_who_has_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to be drawn into a pipe."""
    watch([[JOB]], text, is_plain=False, title=str)
    assert capsys.readouterr().out == "a running\n"


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_a_table_is_for_who_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a title and bars."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    watch([[JOB]], text, is_plain=False, title=lambda: "1 running")
    assert "1 running" in out.getvalue()
    assert "━" in out.getvalue()
    watch([[DONE]], text, is_plain=True, title=str)
    assert out.getvalue().endswith("a done\n")


def test_rich_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is a sentence about how to have it."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setitem(sys.modules, "rich.live", None)
    monkeypatch.delitem(sys.modules, "dewar.cli.job_screen")
    with pytest.raises(MissingExtra, match=r"pip install 'dewar-web\[tasks\]'"):
        watch([[JOB]], text, is_plain=False, title=str)


def test_the_table_shows_what_jobs_say_as_it_is() -> None:
    """Neither markup nor control characters of a job have an effect."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160, color_system=None)
    show_live([[JOB, OTHER], [DONE, OTHER]], lambda: "jobs", console)
    shown = out.getvalue()
    assert "[bold]resize" in shown
    assert "half\\x1b[2J" in shown
    assert ("50%" in shown, "100%" in shown) == (True, True)


def test_lines_are_those_of_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Who watches through a pipe gets the columns of ``dewar tasks list``."""
    print_changes([[JOB]], job_line)
    assert capsys.readouterr().out.split()[:3] == ["a" * 36, "running", "50%"]

"""The function of a job: what reaches it, when, and that nothing reaches what comes after it."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from queue import SimpleQueue
from typing import Any

import pytest

from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import RunningJob, running, shielded
from dewar.tasks.raisers import SignalRaiser, ThreadRaiser
from dewar.tasks.swallowed import SwallowedErrors
from polling import eventually

#: How many jobs meet their limit at their end in each run of a race.
_RACES = 400


class RaiserInSteps:
    """Raises when it is told to, as if the interpreter did, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_sent = False

    def send(self) -> None:
        self.asked.append("send")
        self.is_sent = True

    def flush(self) -> None:
        self.asked.append("flush")
        self.raise_now()

    def clear(self) -> None:
        self.asked.append("clear")
        self.is_sent = False

    def raise_now(self) -> None:
        if self.is_sent:
            self.is_sent = False
            raise SoftTimeLimitExceeded


@pytest.fixture
def raiser() -> RaiserInSteps:
    return RaiserInSteps()


@pytest.fixture
def job(raiser: RaiserInSteps) -> Interruptible:
    return Interruptible("resize", 2.5, lambda: raiser)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter allows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_it_is_raised_while_the_function_runs(job: Interruptible, raiser: RaiserInSteps) -> None:
    """Once, however often the limit is said to be over; the error says what it is about."""

    def work() -> None:
        job.interrupt()
        job.interrupt()
        raiser.raise_now()

    with pytest.raises(SoftTimeLimitExceeded) as caught:
        job.guard(work)()
    assert (caught.value.name, caught.value.seconds) == ("resize", 2.5)
    assert "resize has exceeded its soft timeout of 2.5 seconds" in str(caught.value)
    assert raiser.asked.count("send") == 1


def test_what_was_sent_at_the_end_is_taken_back(job: Interruptible, raiser: RaiserInSteps) -> None:
    """The function has returned: its result counts, and nothing is under way any more."""
    assert job.guard(lambda: job.interrupt() or "done")() == "done"
    assert raiser.asked == ["send", "clear"]
    assert not raiser.is_sent


def test_after_the_end_nothing_is_sent(job: Interruptible, raiser: RaiserInSteps) -> None:
    """The thread has another job."""
    job.guard(int)()
    job.interrupt()
    assert raiser.asked == []


def test_a_limit_that_is_over_before_the_begin_is_raised_at_once(job: Interruptible) -> None:
    """To prepare the job took longer than it may run: not a line of it runs."""
    began: list[int] = []
    job.interrupt()
    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(lambda: began.append(1))()
    assert began == []


def test_a_function_that_goes_on_is_left_alone(job: Interruptible, raiser: RaiserInSteps) -> None:
    """It has caught the error. It may return."""

    def work() -> str:
        job.interrupt()
        with pytest.raises(SoftTimeLimitExceeded):
            raiser.raise_now()
        job.interrupt()
        return "clean"

    assert job.guard(work)() == "clean"


def test_a_shielded_call_ends_before_it_is_raised(
    job: Interruptible, raiser: RaiserInSteps
) -> None:
    """Its effect is whole. The error comes right after it."""
    steps: list[str] = []

    def write() -> None:
        steps.append("half")
        job.interrupt()
        raiser.raise_now()
        job.shield(raiser.raise_now, (), {})  # a shield within one ends nothing
        steps.append("whole")

    def work() -> None:
        job.shield(write, (), {})
        steps.append("never")

    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(work)()
    assert steps == ["half", "whole"]
    assert "send" not in raiser.asked


def test_what_is_under_way_is_raised_before_a_shielded_call(job: Interruptible) -> None:
    """Then the call does not begin."""
    called: list[int] = []

    def work() -> None:
        job.interrupt()
        job.shield(called.append, (1,), {})

    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(work)()
    assert called == []


def test_a_shield_of_another_thread_is_none(job: Interruptible, raiser: RaiserInSteps) -> None:
    """A thread that the job has started shares its context, and not its window."""

    def work() -> None:
        thread = threading.Thread(target=job.shield, args=(job.interrupt, (), {}))
        thread.start()
        thread.join()
        raiser.raise_now()

    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(work)()


def test_functions_of_the_framework_are_shielded(job: Interruptible, raiser: RaiserInSteps) -> None:
    """The decorator finds the job that calls them; elsewhere they are just called."""

    @shielded
    def write(text: str) -> str:
        job.interrupt()
        raiser.raise_now()
        return text

    def work() -> None:
        write("a")

    token = running.set(RunningJob("", "resize", 1, job, id))
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            job.guard(work)()
        assert raiser.asked[0] == "flush"
        assert "send" not in raiser.asked
    finally:
        running.reset(token)
    assert write("b") == "b"


def test_a_job_learns_that_it_is_to_be_cancelled() -> None:
    """By looking, or with an error. Before that it is not."""
    job = Interruptible("resize")
    seen = RunningJob("", "resize", 1, job, id)
    assert not seen.is_cancelled
    seen.raise_if_cancelled()
    job.cancel()
    assert seen.is_cancelled
    with pytest.raises(CancelledError, match="resize was cancelled"):
        seen.raise_if_cancelled()


def test_a_job_without_a_limit_is_only_called(raiser: RaiserInSteps) -> None:
    """Nothing is raised in it."""
    job = Interruptible("resize", None, lambda: raiser)
    assert job.guard(lambda: job.interrupt() or 3)() == 3
    assert raiser.asked == []


class _Finalized:
    """Is interrupted as it is freed."""

    def __init__(self, job: Interruptible) -> None:
        self.job = job

    def __del__(self) -> None:
        self.job.interrupt()
        _spin(1000)
        _spin(1000)


@pytest.mark.parametrize("make_raiser", [ThreadRaiser, SignalRaiser])
def test_a_limit_that_a_finalizer_swallows_is_raised_again(make_raiser: Any) -> None:
    """Python drops what is raised there, and says so to nobody but a hook. It is not reported."""
    job = Interruptible("resize", 1.0, make_raiser)

    def work() -> None:
        _Finalized(job)
        eventually(lambda: False, "the limit")

    with pytest.raises(SoftTimeLimitExceeded):
        job.guard(work)()
    # The next job of the thread has none, also if it is raised late.
    assert Interruptible("next", 1.0, make_raiser).guard(_spin)(1000) == 1000


def test_other_errors_of_finalizers_are_reported_as_before() -> None:
    """The hook that was there gets them, also while a job runs."""
    seen: list[Any] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

    before = sys.unraisablehook
    sys.unraisablehook = seen.append
    try:
        job = Interruptible("resize", 1.0)
        job.guard(lambda: Failing() and None)()
        assert isinstance(sys.unraisablehook, SwallowedErrors)
        Failing()
        assert [one.exc_type for one in seen] == [ValueError, ValueError]
        assert "of 0 threads" in repr(sys.unraisablehook)
    finally:
        sys.unraisablehook = before


def _spin(turns: int) -> int:
    for _ in range(turns):
        pass
    return turns


def _meet(job: Interruptible, turns: int) -> str:
    """Run a job that ends when its limit is over, and say what it ended with."""
    try:
        job.guard(_spin)(turns)
    except SoftTimeLimitExceeded:
        return "limited"
    return "done"


def _race(make_raiser: Any, turns: int) -> set[str]:
    """Have limits fall due at the ends of jobs; return how the jobs ended.

    Raises:
        SoftTimeLimitExceeded: If one hit what comes after its job.
    """
    jobs: SimpleQueue[Interruptible | None] = SimpleQueue()

    def interrupt() -> None:
        while (job := jobs.get()) is not None:
            job.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    seen = set()
    try:
        for number in range(_RACES):
            job = Interruptible("spin", 1.0, make_raiser)
            jobs.put(job)
            seen.add(_meet(job, turns * (number % 20)))
            # The next job of the thread, which has no limit.
            assert Interruptible("next").guard(_spin)(200) == 200
    finally:
        jobs.put(None)
        thread.join()
    return seen


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("turns", [10, 50, 200])
def test_no_limit_hits_what_comes_after_its_job_on_a_thread(turns: int) -> None:
    """The end of the job and the end of its time come in every order."""
    assert _race(ThreadRaiser, turns) <= {"limited", "done"}


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("turns", [10, 50, 200])
def test_no_limit_hits_what_comes_after_its_job_on_the_main_thread(turns: int) -> None:
    """The same with the signal, of which a late one is dropped."""
    raiser = SignalRaiser()
    assert _race(lambda: raiser, turns) <= {"limited", "done"}

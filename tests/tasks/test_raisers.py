"""What raises in a thread leaves nothing behind in the interpreter."""

import subprocess
import sys

from dewar.tasks.raisers import TakenBackError, ThreadRaiser
from dewar.tasks.swallowed import SwallowedErrors

_TAKEN_BACK_AND_TRACED = """
import sys

from dewar.tasks.raisers import ThreadRaiser

ThreadRaiser().clear()
seen = []
sys.settrace(lambda frame, event, arg: seen.append(frame.f_code.co_name))
(lambda: None)()
sys.settrace(None)
print(seen[0])
"""


def test_a_process_can_be_traced_after_one_was_taken_back() -> None:
    """By a debugger or coverage. CPython 3.11 never begins a function if it waits to raise."""
    run = subprocess.run(
        [sys.executable, "-c", _TAKEN_BACK_AND_TRACED],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == "<lambda>\n"


def test_a_thread_takes_back_what_was_sent_to_it() -> None:
    """Twice is once, and nothing comes after it."""
    raiser = ThreadRaiser()
    raiser.clear()
    raiser.clear()
    raiser.flush()


def test_what_takes_its_place_is_told_to_nobody() -> None:
    """A finalizer may run at that moment; Python would print it."""
    told: list[object] = []
    hook = SwallowedErrors(told.append)
    hook(_Unraisable(TakenBackError))
    assert told == []
    other = _Unraisable(ValueError)
    hook(other)
    assert told == [other]


class _Unraisable:
    def __init__(self, exc_type: type[BaseException]) -> None:
        self.exc_type = exc_type

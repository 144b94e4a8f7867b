"""What is counted inside the process, and the marks for the tools that count from outside."""

import gc
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol


class Probe(Protocol):
    """Counts while a function runs."""

    def count(self, run: Callable[[], None]) -> dict[str, int]:
        """Return the counters by name."""


class Calls:
    """The calls of Python functions and of C functions, as `sys.setprofile` reports them.

    Each step of a generator or coroutine counts as a call. A call of a type does not count, but
    its ``__init__`` does if it is in Python.
    """

    def count(self, run: Callable[[], None]) -> dict[str, int]:
        """See `Probe`."""
        events = {"call": 0, "c_call": 0, "return": 0, "c_return": 0, "c_exception": 0}

        def note(_frame: FrameType, event: str, _argument: object) -> None:
            events[event] += 1

        sys.setprofile(note)
        run()
        sys.setprofile(None)
        return {"calls of Python": events["call"], "calls of C": events["c_call"]}


class Bytecodes:
    """The instructions of CPython's bytecode, as `sys.settrace` reports them."""

    def count(self, run: Callable[[], None]) -> dict[str, int]:
        """See `Probe`."""
        counted = 0

        def note(_frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal counted
            counted += event == "opcode"
            return note

        def enter(frame: FrameType, _event: str, _argument: object) -> Any:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return note

        sys.settrace(enter)
        run()
        sys.settrace(None)
        return {"bytecodes": counted}


class Garbage:
    """The objects in reference cycles, which only the garbage collector frees."""

    def count(self, run: Callable[[], None]) -> dict[str, int]:
        """See `Probe`."""
        gc.collect()
        run()
        return {"garbage": gc.collect()}


class Marks:
    """Marks the begin and the end for a tool by a system call that nothing else makes."""

    def count(self, run: Callable[[], None]) -> dict[str, int]:
        """See `Probe`."""
        os.getpriority(os.PRIO_PROCESS, 0)
        run()
        os.getpriority(os.PRIO_PROCESS, 0)
        return {}

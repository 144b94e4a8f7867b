"""The coverage that guides the fuzzer: the steps between lines that a call takes."""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

# A function, two of its lines, and the bit length of the number of steps between them.
Edge = tuple[CodeType, int, int, int]


class EdgeTracer:
    """Records the edges in files whose names start with one of *prefixes*."""

    def __init__(self, *prefixes: str) -> None:
        self._prefixes = prefixes
        self._counts: dict[tuple[CodeType, int, int], int] = {}
        self._wanted: dict[CodeType, bool] = {}

    def __repr__(self) -> str:
        return f"<EdgeTracer of {', '.join(self._prefixes)}>"

    def edges_of(self, call: Callable[[], object]) -> set[Edge]:
        """Run *call* and return the edges that it takes."""
        self._counts = {}
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(before)
        return {(*edge, count.bit_length()) for edge, count in self._counts.items()}

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002
        code = frame.f_code
        wanted = self._wanted.get(code)
        if wanted is None:
            wanted = self._wanted[code] = code.co_filename.startswith(self._prefixes)
        if not wanted:
            return None
        counts = self._counts
        last = 0

        def step(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG001
            nonlocal last
            line = frame.f_lineno if event == "line" else -1
            edge = code, last, line
            counts[edge] = counts.get(edge, 0) + 1
            last = line
            return step

        return step

"""Fuzz the wire: ``python -m fuzz.wire --seconds 600``.

The invariant, for any bytes that a client can send, in any pieces:

* The reader returns the same requests, refusal and phase for all pieces: for one piece, for single
  bytes, for random pieces, and for whole messages, which it reads in a faster way.
* A message that has been read before on the connection is read as it was at first.
* It never raises, and buffers no more than its limits allow.
* If no limit is exceeded, the requests, their bodies and the verdict are those of a second, simple
  implementation of RFC 9112 (`fuzz.strict`).

The first inputs are the test corpus. They are changed at random, and an input is kept if it covers
an edge of the reader's code that no other input has covered. An input that breaks the invariant is
shortened while it still does, and printed.
"""

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.server.corpus.corpus import CASES

from dewar.server.wire import reader as wire
from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import WireRequest
from fuzz import strict
from fuzz.edges import Edge, EdgeTracer
from fuzz.mutation import Mutator

NARROW = Limits(request_line=60, header_count=4, header_bytes=120, body=40, buffered_body=8)
WIDE = Limits(request_line=10**6, header_count=10**6, header_bytes=10**6, body=None)
# For the line ends, and the empty lines before a request.
SLACK = 24
# Inputs of this length are only sent byte by byte one time in ten.
_LONG = 300

Outcome = tuple[list[tuple[str, str, bytes]], str | None, str]


class BrokenError(Exception):
    """Raised when the invariant does not hold. The message says why."""


class FoundError(Exception):
    """Raised with an input that breaks the invariant, shortened."""

    def __init__(self, data: bytes) -> None:
        self.data = shrink(data)
        super().__init__(f"{self.data!r}\n{is_broken(self.data)}")


def read(pieces: Sequence[bytes], limits: Limits) -> Outcome:
    """Return the result of a new reader for the pieces."""
    reader = RequestReader({}, FieldNames(), limits, WireRequest)
    requests: list[tuple[str, str, bytes]] = []
    for piece in pieces:
        reader.feed(piece)
        while reader.advance() or reader.phase is ReadPhase.UPGRADE:
            if reader.phase is ReadPhase.UPGRADE:  # declined
                reader.completed.append(reader.take_upgrade())
            requests += map(_seen, reader.completed)
            reader.completed.clear()
        # Empty lines count as received too.
        if reader.received > limits.request_line + limits.header_bytes + SLACK + len(piece):
            raise BrokenError(f"The reader buffers {reader.received} bytes of a head.")
    refusal = None if reader.refusal is None else reader.refusal.status
    phase = "inside" if reader.phase.name in ("HEAD", "BODY") else reader.phase.name
    reader.discard()
    return requests, refusal, phase


def _seen(request: WireRequest) -> tuple[str, str, bytes]:
    body = b""
    if request.body is not None:
        body = request.body.read()
        request.body.close()
    return request.environ["REQUEST_METHOD"], request.environ["REQUEST_URI"], body


def check(data: bytes, random_: random.Random) -> None:
    """Raise an error if *data* breaks the invariant."""
    verdict = strict.judge(data)
    for limits in (WIDE, NARROW):
        whole = read([data], limits)
        for pieces in _cuts(data, verdict.ends, random_):
            if read(pieces, limits) != whole:
                raise BrokenError(f"Read as {pieces}: {read(pieces, limits)}, not {whole}.")
        for begin, end in itertools.pairwise([0, *verdict.ends]):
            _check_again(data[begin:end], limits)
        if limits is WIDE:
            _compare(whole, verdict)


def _check_again(message: bytes, limits: Limits) -> None:
    """Raise an error if a connection that knows a message reads it in another way."""
    requests, refusal, phase = read([message], limits)
    if refusal is None and phase == "START":
        twice = read([message, message], limits)
        if twice != (requests * 2, None, phase):
            raise BrokenError(f"Read again: {twice}, not {requests} twice.")


def _compare(outcome: Outcome, verdict: strict.Verdict) -> None:
    requests, refusal, phase = outcome
    end = "refused" if refusal else {"START": "between", "ENDED": "closed"}.get(phase, phase)
    if (requests, end) != (verdict.requests, verdict.end):
        raise BrokenError(f"{requests}, {end} ({refusal}) differs from fuzz.strict: {verdict}")


def _cuts(data: bytes, ends: list[int], random_: random.Random) -> Iterator[list[bytes]]:
    if len(data) < _LONG or random_.random() < 0.1:
        yield [data[n : n + 1] for n in range(len(data))]
    yield _cut(data, ends)
    yield _cut(data, [random_.randint(0, len(data)) for _ in range(2)])
    yield _cut(data, [*ends, random_.randint(0, len(data))])


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *places})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@dataclass
class Fuzzer:
    """One run.

    Attributes:
        pool: The inputs that covered new edges.
        edges: The edges covered so far.
        tried: The number of inputs tried.
    """

    seed: int
    pool: list[bytes] = field(default_factory=list)
    edges: set[Edge] = field(default_factory=set)
    tried: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._mutator = Mutator(self._random)
        self._tracer = EdgeTracer(str(Path(wire.__file__).parent))

    def sow(self) -> None:
        """Try the cases of the test corpus."""
        for case in CASES.values():
            self.try_(case.data)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Try mutations until *is_over* returns true."""
        while not is_over():
            parent = self._random.choice(
                self.pool[-200:] if self._random.random() < 0.3 else self.pool
            )
            self.try_(self._mutator.mutate(parent, self._random.choice(self.pool)))

    def try_(self, data: bytes) -> None:
        """Check one input, and keep it if it covers new edges.

        Raises:
            FoundError: If it breaks the invariant.
        """
        self.tried += 1
        try:
            found = self._tracer.edges_of(
                lambda: (read([data], WIDE), read(_cut(data, [1]), NARROW))
            )
            check(data, self._random)
        except Exception as error:
            raise FoundError(data) from error
        if not found <= self.edges:
            self.edges |= found
            self.pool.append(data)


def shrink(data: bytes) -> bytes:
    """Return the shortest part of *data* found that still breaks the invariant."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            shorter = data[:start] + data[start + size :]
            if is_broken(shorter):
                data = shorter
                break
        else:
            size //= 2
    return data


def is_broken(data: bytes) -> str:
    """Return how *data* breaks the invariant, or an empty text."""
    try:
        for seed in range(5):
            check(data, random.Random(seed))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz for some seconds and print the result."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.wire")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args(arguments)
    fuzzer = Fuzzer(options.seed)
    print(f"fuzz: seed {options.seed}", flush=True)
    end = time.monotonic() + options.seconds
    try:
        fuzzer.sow()
        print(f"fuzz: {fuzzer.tried} seeds, {len(fuzzer.edges)} edges", flush=True)
        fuzzer.run(lambda: time.monotonic() > end)
    except FoundError as error:
        print(f"fuzz: {error}", f"fuzz: {error.__cause__!r}", sep="\n")
        return 1
    print(f"fuzz: {fuzzer.tried} inputs, {len(fuzzer.pool)} kept, {len(fuzzer.edges)} edges")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A short run of the fuzzer, the same each time; `make fuzz` is the long form."""

import pytest
from fuzz.edges import EdgeTracer
from fuzz.wire import FoundError, Fuzzer, main, shrink
from tests.server.corpus.corpus import CASES

from dewar.server.wire.reader import RequestReader
from fuzz import strict, wire


def test_nothing_that_is_tried_breaks_the_invariant() -> None:
    """See `fuzz.wire`: in every cut the same, never a crash, and what a second opinion says."""
    fuzzer = Fuzzer(seed=1)
    fuzzer.sow()
    fuzzer.run(lambda: fuzzer.tried >= len(CASES) + 1500)
    # It is guided: some of the mutants were kept.
    assert len(fuzzer.pool) > 100
    assert len(fuzzer.edges) > 1500


def test_a_fault_in_the_reader_is_found_and_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would hold of any reader."""
    feed = RequestReader.feed

    def faulty(self: RequestReader, data: bytes) -> None:
        feed(self, data.replace(b"X: y", b"X:"))

    monkeypatch.setattr(RequestReader, "feed", faulty)
    fuzzer = Fuzzer(seed=1)
    with pytest.raises(FoundError) as found:
        fuzzer.try_(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nA: b\r\n\r\nABX: yCDEFGH")
    assert b"X: y" in found.value.data
    assert len(found.value.data) < 60


def test_what_breaks_nothing_can_not_be_made_shorter() -> None:
    """It stays as it is."""
    data = CASES["RFC 9112 §3: plain"].data
    assert shrink(data) == data


def test_the_second_opinion_agrees_with_the_corpus() -> None:
    """Requests and bodies of every case that is not about a limit."""
    for name, case in CASES.items():
        if case.limited or case.refusal in (413, 414, 431):
            continue
        verdict = strict.judge(case.data)
        seen = [(seen.method, seen.target, seen.body) for seen in case.requests]
        assert verdict.requests == seen, name
        assert (verdict.end == "refused") == (case.refusal is not None), name
        assert (verdict.end == "inside") == case.waits, name
        assert (verdict.end == "closed") == (case.closes and case.refusal is None), name


def test_edges_are_those_of_the_files_that_are_asked_for() -> None:
    """And no others; the tracer that was there before is there again."""
    tracer = EdgeTracer(strict.__file__)
    edges = tracer.edges_of(lambda: strict.judge(b"GET / HTTP/1.1\r\n\r\n"))
    assert {code.co_filename for code, *_ in edges} == {strict.__file__}
    assert repr(tracer) == f"<EdgeTracer of {strict.__file__}>"


def test_the_command_tells_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that what it found can be found again."""
    monkeypatch.setattr(wire, "CASES", {"one": CASES["RFC 9112 §3: plain"]})
    assert main(["--seconds", "0.1", "--seed", "7"]) == 0
    assert capsys.readouterr().out.startswith("fuzz: seed 7\n")

"""Raw frames, right and wrong, in one piece and in many."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from websocket.corpus import CASES, LIMIT, Case
from websocket.reading import Outcome, read

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def code_of(close: bytes) -> int:
    """Return the code of a close frame; 0 if it has none."""
    return int.from_bytes(close[:2])


def outcome_of(case: Case, pieces: list[bytes]) -> Outcome:
    return read(pieces, LIMIT, case.deflate)


@every_case
def test_a_case_has_its_outcome(case: Case) -> None:
    """The program gets the messages, and the client the pongs and the close frame."""
    outcome = outcome_of(case, [case.sent])
    assert outcome.messages == case.messages
    assert outcome.pongs == case.pongs
    assert len(outcome.closes) == bool(case.codes)
    assert all(code_of(close) in case.codes for close in outcome.closes)


@every_case
def test_a_case_byte_by_byte_has_the_same_outcome(case: Case) -> None:
    """Where the network splits the bytes changes nothing, not even the reason."""
    split = [case.sent[i : i + 1] for i in range(len(case.sent))]
    assert outcome_of(case, split) == outcome_of(case, [case.sent])


@given(st.sampled_from(CASES), st.lists(st.integers(0, 2000), max_size=12))
def test_no_split_changes_the_outcome(case: Case, places: list[int]) -> None:
    """In any pieces."""
    cuts = [0, *sorted(place % (len(case.sent) + 1) for place in places), len(case.sent)]
    pieces = [case.sent[a:b] for a, b in pairwise(cuts)]
    assert outcome_of(case, pieces) == outcome_of(case, [case.sent])


def test_the_names_of_the_cases_differ() -> None:
    """So that a failure names one."""
    assert len({case.name for case in CASES}) == len(CASES) > 200

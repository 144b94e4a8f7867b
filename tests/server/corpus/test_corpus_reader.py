"""Every case of the corpus, in every cut: the outcome depends on the bytes alone."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.corpus.corpus import CASES
from tests.server.corpus.reading import bytewise, expected, outcome


@pytest.mark.parametrize("name", CASES)
def test_a_case_comes_out_as_the_rfc_has_it(name: str) -> None:
    """Whole, as a client that types sends it, and cut in two at every place."""
    case = CASES[name]
    data = case.data
    right = expected(case)
    assert outcome([data]) == right
    assert outcome(bytewise(data)) == right
    for cut in range(1, min(len(data), 400)):
        assert outcome([data[:cut], data[cut:]]) == right, cut


@settings(max_examples=1000)
@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_case_comes_out_so_in_any_pieces(name: str, cuts: list[int]) -> None:
    """However the network cut it."""
    data = CASES[name].data
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    assert outcome([data[a:b] for a, b in pairwise(places)]) == expected(CASES[name])


def test_the_corpus_is_large_and_covers_the_sections() -> None:
    """A case that is lost by a slip of the pen is noticed."""
    sections = {case.section for case in CASES.values()}
    assert len(CASES) > 700
    assert len(sections) == 15

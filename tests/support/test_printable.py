"""Text in one line."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.support.printable import printable

any_text = st.text(st.characters(exclude_categories=()))


def test_what_cannot_be_printed_is_shown_as_python_writes_it() -> None:
    """Controls, line ends of Unicode, marks of direction, and half surrogates."""
    assert printable("a\x1b[2J\r\nü☃") == "a\\x1b[2J\\r\\nü☃"
    assert printable("\x85\u2028\u202e\udc80\U000e0001") == "\\x85\\u2028\\u202e\\udc80\\U000e0001"


@given(any_text)
def test_any_text_becomes_one_line_that_can_be_written(text: str) -> None:
    """In UTF-8, without any control, and without a change where none is needed."""
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert shown == text or not text.isprintable()

import pytest

from bench import answer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("whole", [PLAIN, CHUNKED])
def test_end_is_found_at_every_split(whole):
    """However an answer is cut, it ends once, and at its last byte."""
    assert all(answer.end(whole[:cut]) is None for cut in range(len(whole)))
    assert answer.end(whole) == len(whole)
    assert answer.end(whole + b"HTTP/1.1 200 OK\r\n") == len(whole)


def test_an_answer_without_length_is_refused():
    """A client that keeps connections cannot use an answer that only closing ends."""
    with pytest.raises(ValueError, match="Content-Length"):
        answer.end(b"HTTP/1.1 200 OK\r\n\r\nhello")


def test_status_is_read_or_refused():
    """The status is a number in a status line and nothing else."""
    assert answer.status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") == 503
    with pytest.raises(ValueError, match="Not the start"):
        answer.status(b"hello")


def test_closing_is_announced():
    """`Connection: close` in any case of letters is seen."""
    closing = PLAIN.replace(b"\r\n\r\n", b"\r\nCONNECTION: Close\r\n\r\n")
    assert answer.is_last(closing)
    assert not answer.is_last(PLAIN)

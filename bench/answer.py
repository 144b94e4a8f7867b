"""Finds the end of an HTTP/1.1 response."""

_END_OF_HEAD = b"\r\n\r\n"


def status(answer: bytes) -> int:
    """Return the status code of a response.

    Raises:
        ValueError: If the bytes do not start with an HTTP/1 status line.
    """
    parts = answer.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise ValueError(f"Not the start of an HTTP response: {answer[:60]!r}")
    return int(parts[1])


def end(buffer: bytes) -> int | None:
    """Return the end of the first response to a GET, or None while bytes are missing.

    Raises:
        ValueError: If the response has no length, so that only the end of the connection ends it.
    """
    head = buffer.find(_END_OF_HEAD)
    if head < 0:
        return None
    body = head + len(_END_OF_HEAD)
    fields = _fields(buffer[:head])
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return _end_of_chunks(buffer, body)
    if b"content-length" not in fields:
        raise ValueError("The response has neither Content-Length nor chunks.")
    stop = body + int(fields[b"content-length"])
    return stop if len(buffer) >= stop else None


def is_last(answer: bytes) -> bool:
    """Return whether the server announces that it closes the connection after this response."""
    head = answer[: answer.find(_END_OF_HEAD)]
    return _fields(head).get(b"connection", b"") == b"close"


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip().lower() for name, _, value in lines}


def _end_of_chunks(buffer: bytes, position: int) -> int | None:
    while (line := buffer.find(b"\r\n", position)) >= 0:
        size = int(buffer[position:line].split(b";")[0], 16)
        position = line + 2 + size + 2
        if size == 0:
            return position if len(buffer) >= position else None
    return None

"""Receiving more of a large body than one read gives."""

from collections.abc import Callable
from typing import Any

from dewar.server.connection.readiness import READ_SIZE
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader

# Bytes of one read. malloc stops mapping memory each time when it has freed a block of that size.
_READ_SIZE = 262144
# Bytes that are received before other connections have their turn; as many are sent in one.
_TURN = 1024 * 1024


def receive_more(
    recv: Callable[[int], bytes],
    reader: RequestReader[Any],
    count: int,
    begin_before_body: Callable[[], bool],
) -> int:
    """Receive what else has arrived of a body, up to a limit; return the number of bytes in all.

    PERF: a large body needs no look at all sockets for each part of it. The end of the connection
    is left to the next look, which reports it again.

    Args:
        recv: The socket's.
        reader: The connection's.
        count: The bytes of the first read. If they are fewer than it takes, no more have arrived.
        begin_before_body: Lets a request run before its body is received, if it may.
    """
    may_have_more = count == READ_SIZE
    while reader.phase is ReadPhase.BODY and not (reader.completed or begin_before_body()):
        try:
            data = recv(_READ_SIZE) if may_have_more and count < _TURN else b""
        except OSError:
            break
        if not data:
            break
        count += len(data)
        reader.feed(data)
    return count

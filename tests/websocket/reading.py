"""What `FrameProtocol` makes of bytes that come in pieces."""

from collections.abc import Iterable
from typing import NamedTuple

from dewar.websocket.deflate import Deflate
from dewar.websocket.frame_protocol import End, FrameProtocol, Ping
from websockettools import CLOSE, PONG, server_frames


class Outcome(NamedTuple):
    """What became of a client's bytes."""

    messages: tuple[str | bytes, ...]
    pongs: tuple[bytes, ...]
    closes: tuple[bytes, ...]
    end: tuple[int, str] | None


def read(pieces: Iterable[bytes], limit: int, has_deflate: bool) -> Outcome:
    """Return the outcome of pieces; nothing is read after the end."""
    frames = FrameProtocol(limit, Deflate(None, limit) if has_deflate else None)
    messages: list[str | bytes] = []
    answer, end = b"", None
    for piece in pieces:
        position = 0
        while position < len(piece) and end is None:
            position, event = frames.read(piece, position)
            if isinstance(event, (str, bytes)):
                messages.append(event)
            elif isinstance(event, (Ping, End)):
                answer += event.answer
                end = (event.code, event.reason) if isinstance(event, End) else None
    sent = server_frames(answer)
    pongs, closes = ([data for code, data in sent if code == opcode] for opcode in (PONG, CLOSE))
    assert len(sent) == len(pongs) + len(closes)
    return Outcome(tuple(messages), tuple(pongs), tuple(closes), end)

"""What a reader makes of bytes that come in pieces."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.server.corpus import bounds
from tests.server.corpus.case import Case, Seen

from dewar.server.wire.head import FieldNames
from dewar.server.wire.limits import Limits
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import WireRequest

LIMITS = Limits(
    request_line=bounds.REQUEST_LINE,
    header_count=bounds.HEADER_COUNT,
    header_bytes=bounds.HEADER_BYTES,
    body=bounds.BODY,
    buffered_body=bounds.BUFFERED,
)


class Outcome(NamedTuple):
    """All that comes of a connection's bytes."""

    requests: tuple[Seen, ...]
    refusal: int | None
    phase: str


def expected(case: Case) -> Outcome:
    """Return what must come of a case, without the part of a message that is left over."""
    ended = case.refusal is not None or case.closes
    return Outcome(
        case.requests, case.refusal, "ENDED" if ended else "WAITS" if case.waits else "START"
    )


def outcome(pieces: Iterable[bytes]) -> Outcome:
    """Return what came of the pieces; the reader is new."""
    reader = RequestReader({"SERVER_PROTOCOL": "HTTP/1.1"}, FieldNames(), LIMITS, WireRequest)
    requests: list[Seen] = []
    for piece in pieces:
        reader.feed(piece)
        while reader.advance() or reader.phase is ReadPhase.UPGRADE:
            if reader.phase is ReadPhase.UPGRADE:  # declined
                reader.completed.append(reader.take_upgrade())
            requests += map(_seen, reader.completed)
            reader.completed.clear()
    refusal = None if reader.refusal is None else int(reader.refusal.status[:3])
    phase = reader.phase.name
    reader.discard()
    return Outcome(tuple(requests), refusal, phase if phase in ("START", "ENDED") else "WAITS")


def bytewise(data: bytes) -> list[bytes]:
    """Return the bytes one by one."""
    return [data[n : n + 1] for n in range(len(data))]


def _seen(request: WireRequest) -> Seen:
    environ = request.environ
    body = b""
    if request.body is not None:
        body = request.body.read()
        request.body.close()
    return Seen(
        environ["REQUEST_METHOD"],
        environ["REQUEST_URI"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        body,
    )

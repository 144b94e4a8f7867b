"""Random programs of frames, against a small model of the RFCs that shares no code."""

import zlib
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from websocket.reading import read
from websockettools import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, deflated, frame

LIMIT = 60
_TAIL = b"\x00\x00\xff\xff\x03\x00"
_VALID_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


@dataclass(frozen=True)
class Step:
    """One frame of a client."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = True

    def raw(self) -> bytes:
        return frame(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, masked=self.masked)


class Closed(Exception):
    """The server closes, with this code; None answers a close frame without one."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Model:
    """What a server does with one frame after the other, written for reading only."""

    has_deflate: bool
    messages: list[str | bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    opcode: int = 0
    is_compressed: bool = False
    content: bytes = b""

    def take(self, step: Step) -> None:
        may_be_compressed = self.has_deflate and step.opcode in {TEXT, BINARY}
        if step.rsv not in ({0, 4} if may_be_compressed else {0}) or not step.masked:
            raise Closed(1002)
        if step.opcode in {CLOSE, PING, PONG}:
            self.control(step)
        elif step.opcode in {CONTINUATION, TEXT, BINARY}:
            self.data(step)
        else:
            raise Closed(1002)

    def control(self, step: Step) -> None:
        if not step.fin or len(step.payload) > 125:
            raise Closed(1002)
        if step.opcode == PING:
            self.pongs.append(step.payload)
        if step.opcode != CLOSE:
            return
        if not step.payload:
            raise Closed(None)
        code = int.from_bytes(step.payload[:2])
        if len(step.payload) == 1 or code not in _VALID_CODES:
            raise Closed(1002 if len(step.payload) == 1 or is_utf8(step.payload[2:]) else 1007)
        raise Closed(code if is_utf8(step.payload[2:]) else 1007)

    def data(self, step: Step) -> None:
        if (step.opcode == CONTINUATION) != bool(self.opcode):
            raise Closed(1002)
        if step.opcode != CONTINUATION:
            self.opcode, self.is_compressed, self.content = step.opcode, step.rsv == 4, b""
        self.content += step.payload
        if self.is_compressed and len(step.payload) > LIMIT * 1.25 + 64:
            raise Closed(1009)
        content = inflated(self.content, step.fin) if self.is_compressed else self.content
        if len(content) > LIMIT:
            raise Closed(1009)
        if self.opcode == TEXT and not is_utf8(content, may_go_on=not step.fin):
            raise Closed(1007)
        if step.fin:
            self.messages.append(content.decode() if self.opcode == TEXT else content)
            self.opcode = 0


def is_utf8(data: bytes, may_go_on: bool = False) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return may_go_on and error.reason == "unexpected end of data"
    return True


def inflated(data: bytes, is_whole: bool) -> bytes:
    decoder, alone = zlib.decompressobj(-15), zlib.decompressobj(-15)
    try:
        if len(alone.decompress(data)) <= LIMIT and alone.unused_data not in {b"", b"\x00"}:
            raise Closed(1002)
        content = decoder.decompress(data + _TAIL if is_whole else data, LIMIT + 1)
    except zlib.error:
        raise Closed(1002) from None
    if len(content) <= LIMIT and is_whole and not decoder.eof:
        raise Closed(1002)
    return content


def play(steps: list[Step], has_deflate: bool) -> tuple[Model, int | None, bool]:
    """Return the model after some frames, the code of its close frame, and whether it closes."""
    model = Model(has_deflate)
    for step in steps:
        try:
            model.take(step)
        except Closed as closed:
            return model, closed.code, True
    return model, None, False


texts = st.text("aé€😀", max_size=30).map(str.encode)
contents = texts | st.binary(max_size=70)


@st.composite
def split_messages(draw: st.DrawFn) -> list[Step]:
    """Return the frames of one message, mostly right, with control frames in between."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    content = draw(contents)
    rsv = draw(st.sampled_from([0, 4]))
    if rsv:
        content = deflated(content, level=draw(st.integers(0, 9)))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    edges = [0, *cuts, len(content)]
    parts = [content[a:b] for a, b in pairwise(edges)]
    steps = []
    for i, part in enumerate(parts):
        is_last = i == len(parts) - 1
        steps.append(Step(opcode if i == 0 else CONTINUATION, part, is_last, 0 if i else rsv))
        if draw(st.booleans()):
            steps.append(Step(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=9))))
    return steps


closes = st.builds(
    lambda code, reason: Step(CLOSE, code.to_bytes(2) + reason),
    st.sampled_from([1000, 1001, 1005, 1011, 2999, 3000, 4999, 5000]),
    texts,
)
odd_frames = st.builds(
    Step, st.integers(0, 15), st.binary(max_size=130), st.booleans(), st.integers(0, 7),
    st.sampled_from([True, True, True, False]),
)  # fmt: skip
programs = st.lists(
    st.one_of(split_messages(), split_messages(), closes.map(lambda c: [c]),
              odd_frames.map(lambda f: [f])),
    max_size=6,
).map(lambda parts: [step for part in parts for step in part])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(programs, st.booleans(), st.lists(st.integers(0, 500), max_size=8))
def test_frames_do_what_the_model_says(
    steps: list[Step], has_deflate: bool, places: list[int]
) -> None:
    """The same messages, pongs and codes, however the bytes are split."""
    raw = b"".join(step.raw() for step in steps)
    cuts = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    outcome = read([raw[a:b] for a, b in pairwise(cuts)], LIMIT, has_deflate)
    model, code, closes = play(steps, has_deflate)
    assert list(outcome.messages) == model.messages
    assert list(outcome.pongs) == model.pongs
    assert len(outcome.closes) == closes
    if closes:
        assert outcome.closes[0][:2] == (b"" if code is None else code.to_bytes(2))

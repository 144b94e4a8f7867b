"""Raw frames, and what a server has to make of them.

Each case says which messages the program gets, which pongs the client gets, and with which code the
server closes. The limit for messages is `LIMIT`. If the RFCs leave a code open, several are named.
"""

import zlib
from dataclasses import dataclass

from websockettools import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    close_frame,
    deflated,
    frame,
    header,
)  # fmt: skip

LIMIT = 1000
RSV1 = 4
_ALL = bytes(range(256)) * 8
_NOISE = zlib.compress(_ALL)  # it cannot be compressed again


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a client sends, and what becomes of it.

    Attributes:
        name: Says what is sent.
        sent: The bytes.
        messages: What the program receives.
        pongs: The payloads of the pongs.
        codes: The codes of which the server's close frame has one; empty if it sends none.
        deflate: Whether compression was agreed on.
    """

    name: str
    sent: bytes
    messages: tuple[str | bytes, ...] = ()
    pongs: tuple[bytes, ...] = ()
    codes: tuple[int, ...] = ()
    deflate: bool = False


def _messages() -> list[Case]:
    cases = [
        Case(name="an empty text", sent=frame(TEXT), messages=("",)),
        Case(name="an empty binary message", sent=frame(BINARY), messages=(b"",)),
        Case(name="a text", sent=frame(TEXT, "κόσμε".encode()), messages=("κόσμε",)),
        Case(name="two in one read", sent=frame(TEXT, b"a") + frame(BINARY, b"b"),
             messages=("a", b"b")),
        Case(name="a zero mask", sent=header(TEXT, 2) + bytes(4) + b"hi", messages=("hi",)),
        Case(name="half a header", sent=frame(TEXT, b"a")[:1]),
        Case(name="half a mask", sent=frame(TEXT, b"a")[:4]),
        Case(name="half a payload", sent=frame(TEXT, b"abcdef")[:-3]),
    ]  # fmt: skip
    for size in (125, 126, 127, 128, 999, LIMIT):
        cases.append(Case(name=f"{size} bytes", sent=frame(BINARY, bytes(size)),
                          messages=(bytes(size),)))  # fmt: skip
    for count in (2, 3, 10):
        parts = [frame(TEXT, b"x", fin=False)]
        parts += [frame(CONTINUATION, b"x", fin=False)] * (count - 2)
        parts.append(frame(CONTINUATION, b"x"))
        cases.append(Case(name=f"{count} fragments", sent=b"".join(parts), messages=("x" * count,)))
    begun, ended = frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b")
    cases += [
        Case(name="empty fragments", sent=frame(BINARY, fin=False)
             + frame(CONTINUATION, fin=False) + frame(CONTINUATION), messages=(b"",)),
        Case(name="a ping between fragments", sent=begun + frame(PING, b"p") + ended,
             messages=("ab",), pongs=(b"p",)),
        Case(name="a pong between fragments", sent=begun + frame(PONG, b"p") + ended,
             messages=("ab",)),
        Case(name="a ping between fragments near the limit",
             sent=frame(BINARY, bytes(LIMIT - 1), fin=False) + frame(PING, bytes(125))
             + frame(CONTINUATION, b"x"), messages=(bytes(LIMIT - 1) + b"x",), pongs=(bytes(125),)),
        Case(name="a continuation of nothing", sent=ended, codes=(1002,)),
        Case(name="an unfinished continuation of nothing",
             sent=frame(CONTINUATION, b"a", fin=False), codes=(1002,)),
        Case(name="a continuation after a message", sent=begun + ended + ended, messages=("ab",),
             codes=(1002,)),
        Case(name="a text within a text", sent=begun + frame(TEXT, b"b"), codes=(1002,)),
        Case(name="a begun text within a text", sent=begun + begun, codes=(1002,)),
        Case(name="a binary message within a text", sent=begun + frame(BINARY, b"b"),
             codes=(1002,)),
    ]  # fmt: skip
    return cases


def _headers() -> list[Case]:
    cases = [
        Case(name=f"opcode {opcode}, {'whole' if fin else 'begun'}",
             sent=frame(opcode, b"a", fin=fin), codes=(1002,))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for fin in (True, False)
    ]  # fmt: skip
    cases += [
        Case(name=f"reserved bits {rsv:03b} on opcode {opcode}", sent=frame(opcode, b"", rsv=rsv),
             codes=(1002,))
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for rsv in range(1, 8)
    ]  # fmt: skip
    cases += [
        Case(name=f"opcode {opcode} without a mask", sent=frame(opcode, b"", masked=False),
             codes=(1002,))
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    ]  # fmt: skip
    cases += [
        Case(name=f"{length} in {size} bytes", sent=frame(BINARY, bytes(length), size=size),
             codes=(1002,))
        for length, size in ((0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (999, 8))
    ]  # fmt: skip
    cases += [
        Case(name=f"a length of {length}", sent=header(BINARY, length, size=8), codes=codes)
        for length, codes in (
            (2**63, (1002,)), (2**64 - 1, (1002,)), (2**63 - 1, (1009,)), (2**32, (1009,)),
        )
    ]  # fmt: skip
    whole = frame(TEXT, b"a")
    cases += [
        Case(name="a message before a fault", sent=whole + frame(3), messages=("a",),
             codes=(1002,)),
        Case(name="a message after a fault", sent=frame(3) + whole, codes=(1002,)),
        # Nothing more has to come before the server sees that a header is wrong.
        Case(name="only the header, with a reserved bit", sent=header(TEXT, 100, rsv=1) + MASK,
             codes=(1002,)),
        Case(name="only the header, of a long ping", sent=header(PING, 126) + MASK, codes=(1002,)),
        Case(name="only the header, of a begun ping", sent=header(PING, 5, fin=False) + MASK,
             codes=(1002,)),
        Case(name="only the header, of a continuation of nothing",
             sent=header(CONTINUATION, 100) + MASK, codes=(1002,)),
    ]  # fmt: skip
    return cases


def _control() -> list[Case]:
    cases = [
        Case(name=f"a ping of {size} bytes", sent=frame(PING, bytes(size)), pongs=(bytes(size),))
        for size in (0, 1, 125)
    ]
    cases += [
        Case(name=f"opcode {opcode} with {size} bytes", sent=frame(opcode, bytes(size)),
             codes=(1002,))
        for opcode in (CLOSE, PING, PONG)
        for size in (126, 127, 1000, 70_000)
    ]  # fmt: skip
    cases += [
        Case(name=f"opcode {opcode} in fragments",
             sent=frame(opcode, b"", fin=False) + frame(CONTINUATION, b""), codes=(1002,))
        for opcode in (CLOSE, PING, PONG)
    ]  # fmt: skip
    cases += [
        Case(name="a pong that nobody asked for", sent=frame(PONG, b"x")),
        Case(name="ten pings", sent=b"".join(frame(PING, b"%d" % i) for i in range(10)),
             pongs=tuple(b"%d" % i for i in range(10))),
    ]  # fmt: skip
    return cases


def _closes() -> list[Case]:
    cases = [
        Case(name=f"close with code {code}", sent=close_frame(code), codes=(code,))
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
                     3999, 4000, 4999)
    ]  # fmt: skip
    cases += [
        Case(name=f"close with code {code}", sent=close_frame(code), codes=(1002,))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ]
    begun = frame(TEXT, b"a", fin=False)
    cases += [
        Case(name="close without a code", sent=close_frame(None), codes=(0,)),
        Case(name="close with half a code", sent=frame(CLOSE, b"\x03"), codes=(1002,)),
        Case(name="close with a reason", sent=close_frame(1000, b"done"), codes=(1000,)),
        Case(name="close with the longest reason", sent=close_frame(1000, b"x" * 123),
             codes=(1000,)),
        Case(name="close with a reason that is not UTF-8", sent=close_frame(1000, b"\xff"),
             codes=(1007,)),
        Case(name="close with half a character", sent=close_frame(1000, b"\xce"), codes=(1007,)),
        Case(name="close within a message", sent=begun + close_frame(1000), codes=(1000,)),
        Case(name="two closes", sent=close_frame(1000) + close_frame(1001), codes=(1000,)),
        Case(name="a message after a close", sent=close_frame(1000) + frame(TEXT, b"a"),
             codes=(1000,)),
        Case(name="a ping after a close", sent=close_frame(1000) + frame(PING, b"a"),
             codes=(1000,)),
        Case(name="a fault after a close", sent=close_frame(1000) + frame(3), codes=(1000,)),
    ]  # fmt: skip
    return cases


def _texts() -> list[Case]:
    wrong = {
        "a byte that begins nothing": b"\xff",
        "a continuation byte alone": b"a\x80b",
        "an overlong slash": b"\xc0\xaf",
        "an overlong slash in four bytes": b"\xf0\x80\x80\xaf",
        "a surrogate": b"\xed\xa0\x80",
        "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
        "above U+10FFFF": b"\xf4\x90\x80\x80",
        "five bytes": b"\xf8\x88\x80\x80\x80",
        "half a character at the end": "κ".encode()[:1],
        "half a character in the middle": b"a\xe2\x82b",
    }
    cases = [
        Case(name=f"not UTF-8: {what}", sent=frame(TEXT, text), codes=(1007,))
        for what, text in wrong.items()
    ]
    cases += [
        Case(name=f"not UTF-8 in fragments: {what}",
             sent=frame(TEXT, text[:1], fin=False) + frame(CONTINUATION, text[1:]), codes=(1007,))
        for what, text in wrong.items()
    ]  # fmt: skip
    smile = "😀".encode()
    parts = [frame(TEXT, smile[:1], fin=False)]
    parts += [frame(CONTINUATION, smile[i : i + 1], fin=False) for i in (1, 2)]
    parts.append(frame(CONTINUATION, smile[3:]))
    cases += [
        Case(name="a character over four fragments", sent=b"".join(parts), messages=("😀",)),
        Case(name="a ping within a character",
             sent=parts[0] + frame(PING, b"\xff") + b"".join(parts[1:]), messages=("😀",),
             pongs=(b"\xff",)),
        # The fault shows in the first fragment, and nothing more has to come.
        Case(name="not UTF-8 in a fragment before the last",
             sent=frame(TEXT, b"\xff", fin=False), codes=(1007,)),
        Case(name="a text that ends within a character",
             sent=frame(TEXT, smile[:2], fin=False) + frame(CONTINUATION), codes=(1007,)),
        Case(name="no characters of Unicode", sent=frame(TEXT, "\ufffe\U0010ffff".encode()),
             messages=("\ufffe\U0010ffff",)),
        Case(name="binary data that is not UTF-8", sent=frame(BINARY, b"\xff"),
             messages=(b"\xff",)),
        Case(name="a message that is not UTF-8 after one that is",
             sent=frame(TEXT, b"a") + frame(TEXT, b"\xff"), messages=("a",), codes=(1007,)),
    ]  # fmt: skip
    return cases


def _sizes() -> list[Case]:
    over = LIMIT + 1
    return [
        Case(name="a message over the limit", sent=frame(BINARY, bytes(over)), codes=(1009,)),
        Case(name="only the header, over the limit", sent=header(BINARY, over) + MASK,
             codes=(1009,)),
        Case(name="fragments up to the limit", sent=frame(BINARY, bytes(600), fin=False)
             + frame(CONTINUATION, bytes(400)), messages=(bytes(LIMIT),)),
        Case(name="fragments over the limit", sent=frame(BINARY, bytes(600), fin=False)
             + frame(CONTINUATION, bytes(401)), codes=(1009,)),
        Case(name="only the headers, over the limit together",
             sent=frame(BINARY, bytes(600), fin=False) + header(CONTINUATION, 401) + MASK,
             codes=(1009,)),
        Case(name="a thousand messages up to the limit",
             sent=frame(BINARY, b"ab") * 1000, messages=(b"ab",) * 1000),
    ]  # fmt: skip


def _compressed() -> list[Case]:
    hello, end = deflated(b"Hello"), deflated(b"x" * LIMIT)
    first, second = hello[:3], hello[3:]

    def case(name: str, sent: bytes, *messages: str | bytes, **expected: tuple[int, ...]) -> Case:
        return Case(name=f"compressed: {name}", sent=sent, messages=messages, deflate=True,
                    codes=expected.get("codes", ()))  # fmt: skip

    def begun(data: bytes) -> bytes:
        return frame(TEXT, data, fin=False, rsv=RSV1)

    two_blocks = bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))
    fixed = [
        case("RFC 7692, 7.2.3.1", frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1), "Hello"),
        case("RFC 7692, 7.2.3.1, in fragments", begun(bytes.fromhex("f248cd"))
             + frame(CONTINUATION, bytes.fromhex("c9c90700")), "Hello"),
        case("RFC 7692, 7.2.3.3", frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1),
             "Hello"),
        case("RFC 7692, 7.2.3.4", frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1),
             "Hello"),
        case("RFC 7692, 7.2.3.5", frame(TEXT, two_blocks, rsv=RSV1), "Hello"),
        case("RFC 7692, 7.2.3.6, an empty message", frame(TEXT, b"\x00", rsv=RSV1), ""),
        case("a last block that is marked so", frame(TEXT, b"\x01", rsv=RSV1), ""),
        case("a message that is not", frame(TEXT, b"Hello"), "Hello"),
        case("fragments that are not", frame(TEXT, b"He", fin=False) + frame(CONTINUATION, b"llo"),
             "Hello"),
        case("both kinds", frame(TEXT, hello, rsv=RSV1) + frame(TEXT, b"a")
             + frame(BINARY, hello, rsv=RSV1), "Hello", "a", b"Hello"),
        case("an empty first fragment", begun(b"") + frame(CONTINUATION, hello), "Hello"),
        case("an empty last fragment", begun(hello) + frame(CONTINUATION), "Hello"),
        case("up to the limit", frame(TEXT, end, rsv=RSV1), "x" * LIMIT),
        case("noise up to the limit",
             frame(BINARY, deflated(_NOISE[:LIMIT], level=0), rsv=RSV1), _NOISE[:LIMIT]),
        case("over the limit", frame(TEXT, deflated(b"x" * (LIMIT + 1)), rsv=RSV1), codes=(1009,)),
        case("a bomb", frame(BINARY, deflated(bytes(10**6)), rsv=RSV1), codes=(1009,)),
        case("a bomb in fragments", begun(deflated(bytes(10**6))[:500])
             + frame(CONTINUATION, deflated(bytes(10**6))[500:]), codes=(1009,)),
        case("a bomb after just the limit", begun(end + b"\x00\x00\xff\xff")
             + frame(CONTINUATION, deflated(bytes(10**6))), codes=(1009,)),
        case("one byte after just the limit", begun(end + b"\x00\x00\xff\xff")
             + frame(CONTINUATION, deflated(b"x")), codes=(1009,)),
        case("nothing after just the limit", begun(end) + frame(CONTINUATION), "x" * LIMIT),
        case("a long frame", header(BINARY, 2 * LIMIT, rsv=RSV1) + MASK, codes=(1009,)),
        case("no data of deflate", frame(TEXT, b"\xff" * 20, rsv=RSV1), codes=(1002, 1007)),
        case("a reserved type of block", frame(TEXT, b"\x06", rsv=RSV1), codes=(1002, 1007)),
        case("a wrong length of a block", frame(TEXT, b"\x00\x05\x00\x00\x00Hello", rsv=RSV1),
             codes=(1002, 1007)),
        case("the end is missing", frame(TEXT, hello[:3], rsv=RSV1), codes=(1002, 1007)),
        case("the end of a stored block is missing",
             frame(TEXT, bytes.fromhex("006400 9bff48656c".replace(" ", "")), rsv=RSV1),
             codes=(1002, 1007)),
        case("no data at all", frame(TEXT, b"", rsv=RSV1), codes=(1002, 1007)),
        case("data after the final block",
             frame(TEXT, bytes.fromhex("f348cdc9c90700") + b"more", rsv=RSV1), codes=(1002, 1007)),
        case("data after the final block, in fragments",
             begun(bytes.fromhex("f348cdc9c90700")) + frame(CONTINUATION, b"more"),
             codes=(1002, 1007)),
        case("the first bit on a continuation", begun(first)
             + frame(CONTINUATION, second, rsv=RSV1), codes=(1002,)),
        case("the first bit on a continuation of what is not",
             frame(TEXT, b"a", fin=False) + frame(CONTINUATION, hello, rsv=RSV1), codes=(1002,)),
        case("the first bit on a ping", frame(PING, hello, rsv=RSV1), codes=(1002,)),
        case("the first bit on a close", frame(CLOSE, hello, rsv=RSV1), codes=(1002,)),
        case("the second bit", frame(TEXT, hello, rsv=RSV1 | 2), codes=(1002,)),
        case("the third bit", frame(TEXT, hello, rsv=RSV1 | 1), codes=(1002,)),
        case("not UTF-8", frame(TEXT, deflated(b"\xff"), rsv=RSV1), codes=(1007,)),
        case("a close within a message", begun(first) + close_frame(1000), codes=(1000,)),
        case("a reference before the beginning",
             frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1)
             + frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1), "Hello", codes=(1002, 1007)),
    ]  # fmt: skip
    pinged = Case(name="compressed: a ping between fragments", deflate=True, messages=("Hello",),
                  sent=begun(first) + frame(PING, b"p") + frame(CONTINUATION, second),
                  pongs=(b"p",))  # fmt: skip
    full = Case(name="compressed: a ping between fragments at the limit", deflate=True,
                messages=("x" * LIMIT,), pongs=(b"p" * 125,),
                sent=begun(end) + frame(PING, b"p" * 125) + frame(CONTINUATION))  # fmt: skip
    return [*fixed, pinged, full]


CASES = [
    *_messages(), *_headers(), *_control(), *_closes(), *_texts(), *_sizes(), *_compressed(),
]  # fmt: skip

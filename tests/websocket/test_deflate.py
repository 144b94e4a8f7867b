"""Which offers of compression are accepted, and that idle WebSockets hold no window."""

import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from dewar.websocket.deflate import Deflate, maybe_deflate
from dewar.websocket.extension_offers import Offer, parse_offers

ALWAYS = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def answer(offers: str) -> str | None:
    """Return what is answered to a field of a request."""
    deflate = maybe_deflate(parse_offers(offers), 1000)
    return None if deflate is None else deflate.field


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=15",
        'permessage-deflate; client_max_window_bits="10"',
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate ; server_no_context_takeover ; client_no_context_takeover",
        ", permessage-deflate ,",
        "x-webkit-deflate-frame, permessage-deflate",
    ],
)
def test_an_offer_is_accepted(offer: str) -> None:
    """No side keeps its window between messages, which a server may ask for at any time."""
    assert answer(offer) == ALWAYS


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_that_a_client_asks_for_is_used(bits: int) -> None:
    """Its size is answered, and a decoder with a window of that size reads the messages."""
    deflate = maybe_deflate(parse_offers(f"permessage-deflate; server_max_window_bits={bits}"), 9)
    assert deflate is not None
    assert deflate.field == f"{ALWAYS}; server_max_window_bits={bits}"
    content = bytes(i * i // 300 % 256 for i in range(60_000)) * 2
    frame = deflate.encode(Frame(Opcode.BINARY, content))
    assert frame.rsv1
    assert zlib.decompressobj(-bits).decompress(frame.data + b"\x00\x00\xff\xff") == content


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "Permessage-Deflate",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; level=9",
    ],
)
def test_an_offer_is_declined(offer: str) -> None:
    """An unknown, doubled or wrong parameter (RFC 7692, section 7.1); zlib has no window of 8."""
    assert answer(offer) is None


def test_the_first_offer_that_can_be_accepted_is() -> None:
    """A client offers the ones it prefers first."""
    assert (
        answer(
            "permessage-deflate; server_max_window_bits=8,"
            " permessage-deflate; server_max_window_bits=12, permessage-deflate"
        )
        == f"{ALWAYS}; server_max_window_bits=12"
    )


names = st.text("abz-_!1", min_size=1, max_size=5)
values = st.none() | names
offers = st.builds(Offer, names, st.lists(st.tuples(names, values), max_size=3).map(tuple))
spaces = st.text(" \t", max_size=2)


@st.composite
def fields(draw: st.DrawFn) -> tuple[list[Offer], str]:
    """Return offers, and a field with them in any of its forms."""
    chosen = draw(st.lists(offers, min_size=1, max_size=3))
    texts = []
    for offer in chosen:
        text = offer.name
        for name, value in offer.parameters:
            text += draw(spaces) + ";" + draw(spaces) + name
            if value is not None:
                quote = draw(st.sampled_from(["", '"']))
                text += draw(spaces) + "=" + draw(spaces) + quote + value + quote
        texts.append(draw(spaces) + text + draw(spaces))
    return chosen, ",".join(texts)


@given(fields())
def test_offers_are_read_in_any_form(field: tuple[list[Offer], str]) -> None:
    """With spaces and quotes wherever they may be."""
    chosen, text = field
    assert parse_offers(text) == chosen


def test_short_messages_and_noise_are_sent_as_they_are() -> None:
    """Compression would only cost time."""
    deflate = Deflate(None, 1000)
    noise = Random(0).randbytes(1000)
    for content in (b"", b"a" * 100, noise):
        frame = Frame(Opcode.BINARY, content)
        assert deflate.encode(frame) is frame

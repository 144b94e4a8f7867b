"""permessage-deflate (RFC 7692): what is agreed on, and the compression of messages.

Both sides compress each message by itself. So a WebSocket that is idle holds no window, which would
be 300 kB for both directions, and whatever a message is compressed from is not mixed with others.
"""

import zlib

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import CTRL_OPCODES, Frame
from websockets.typing import ExtensionName

from dewar.websocket.extension_offers import Offer

_NAME = "permessage-deflate"
# RFC 7692, section 7.2.2: each message ends with this, which is not sent. The empty final block
# after it shows whether the message ended where a block does.
_TAIL = b"\x00\x00\xff\xff"
_END = _TAIL + b"\x03\x00"
# What is left behind the end, if the message has a final block of its own (section 7.2.3.4), or
# the block at its end is marked as the final one.
_LEFT_OVER = frozenset({b"", _END, b"\x00" + _END, b"\x03\x00"})
# zlib cannot make a window of 8 bits without a header: zlib's issue 171.
_WINDOWS = {str(bits): bits for bits in range(9, 16)}
_FIELD = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
# Below this, compression saves less than it costs.
_SHORTEST = 256
_MEMORY = 5  # the memLevel of zlib: 8 kB for each message that is being compressed


def maybe_deflate(offers: list[Offer], max_size: int) -> "Deflate | None":
    """Return the compression of the first offer that can be accepted; None if none can.

    Args:
        offers: The extensions that the client offers.
        max_size: The longest message that is decompressed, in bytes.
    """
    for offer in offers:
        if offer.name == _NAME and _is_acceptable(offer):
            return Deflate(dict(offer.parameters).get("server_max_window_bits"), max_size)
    return None


def _is_acceptable(offer: Offer) -> bool:
    """Return whether a server may accept an offer (RFC 7692, section 7.1)."""
    parameters = dict(offer.parameters)
    if len(parameters) < len(offer.parameters):
        return False
    for name, value in parameters.items():
        if name in {"server_no_context_takeover", "client_no_context_takeover"}:
            is_valid = value is None
        elif name == "server_max_window_bits":
            is_valid = value in _WINDOWS
        else:
            is_valid = name == "client_max_window_bits" and (
                value is None or value == "8" or value in _WINDOWS
            )
        if not is_valid:
            return False
    return True


class Deflate(Extension):
    """The compression of one WebSocket. It fails a message as soon as that inflates too much.

    Args:
        window_bits: The size of the window that the client asks for, as in the field; None if it
            does not.
        max_size: The longest message that is decompressed, in bytes.

    Attributes:
        field: What the answer says of it in ``Sec-WebSocket-Extensions``.
    """

    __slots__ = ("_decoder", "_max_size", "_room", "_window_bits", "field")

    name = ExtensionName(_NAME)

    def __init__(self, window_bits: str | None, max_size: int) -> None:
        self.field = _FIELD  # one object for all sockets
        if window_bits is not None:
            self.field += f"; server_max_window_bits={window_bits}"
        self._window_bits = _WINDOWS[window_bits or "15"]
        self._max_size = max_size
        self._room = 0
        self._decoder: zlib._Decompress | None = None  # while a compressed message comes in

    def __repr__(self) -> str:
        return f"<Deflate {self.field!r}>"

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002
        """Return the decompressed frame.

        Raises:
            ProtocolError: If the data is not what RFC 7692 says, or its end is missing.
            PayloadTooBig: If the message inflates to more than its limit.
        """
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.rsv1:
            self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            self._room = self._max_size
        if self._decoder is None:
            return frame
        data = bytes(self._inflate(self._decoder, frame))
        self._room -= len(data)
        if frame.fin:
            self._decoder = None
        return Frame(frame.opcode, data, frame.fin)

    def _inflate(self, decoder: "zlib._Decompress", frame: Frame) -> bytes:
        try:
            # One byte more than there is room for: 0 would mean any number.
            data = decoder.decompress(
                bytes(frame.data) + _END if frame.fin else frame.data, self._room + 1
            )
        except zlib.error as error:
            raise ProtocolError("compressed data is invalid") from error
        if len(data) > self._room:
            raise PayloadTooBig(None, self._max_size)
        if frame.fin and not decoder.eof:
            raise ProtocolError("compressed data ends within a block")
        if decoder.unused_data not in _LEFT_OVER and (frame.fin or len(decoder.unused_data) > 1):
            raise ProtocolError("compressed data goes on after its end")
        return data

    def encode(self, frame: Frame) -> Frame:
        """Return the compressed frame; a short one, or one that would not get shorter, as it is."""
        if len(frame.data) < _SHORTEST or frame.opcode in CTRL_OPCODES or not frame.fin:
            return frame
        encoder = zlib.compressobj(
            zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -self._window_bits, _MEMORY
        )
        data = encoder.compress(frame.data) + encoder.flush(zlib.Z_SYNC_FLUSH)
        if len(data) - len(_TAIL) >= len(frame.data):
            return frame
        return Frame(frame.opcode, data[: -len(_TAIL)], rsv1=True)

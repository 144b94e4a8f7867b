"""`Assembly`: messages from their fragments."""

from codecs import IncrementalDecoder, getincrementaldecoder

from websockets.frames import Frame, Opcode

CONT, TEXT = Opcode.CONT, Opcode.TEXT

_Utf8Decoder = getincrementaldecoder("utf-8")


class Assembly:
    """Makes messages of data frames, whose order has been checked."""

    __slots__ = ("_content", "_utf8")

    def __init__(self) -> None:
        # One object, however many fragments there are: an object each could take a hundred times
        # the bytes that they have.
        self._content: bytearray | None = None
        self._utf8: IncrementalDecoder | None = None  # while the message is a text

    def __repr__(self) -> str:
        return f"<Assembly of {len(self._content or b'')} bytes>"

    def maybe_message(self, frame: Frame) -> str | bytes | None:
        """Return the message that a frame completes; None if it completes none.

        Raises:
            UnicodeDecodeError: As soon as a frame of a text is not UTF-8.
        """
        content, opcode = self._content, frame.opcode
        if frame.fin and opcode is not CONT:
            data = bytes(frame.data)
            return data.decode() if opcode is TEXT else data
        if content is None:
            content = self._content = bytearray()
            self._utf8 = _Utf8Decoder() if opcode is TEXT else None
        content += frame.data
        if self._utf8 is not None:
            self._utf8.decode(frame.data, frame.fin)
        if not frame.fin:
            return None
        self._content = None
        return bytes(content) if self._utf8 is None else content.decode()

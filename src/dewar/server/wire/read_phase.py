"""What a reader waits for."""

from enum import Enum


class ReadPhase(Enum):
    """What the reader waits for."""

    START = "the first byte of a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    HELD = "its owner, to take the complete request: more bytes were received behind it"
    UPGRADE = "its owner, to take a request that asks for another protocol"
    ENDED = "nothing: input is ignored from now on"

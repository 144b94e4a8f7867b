"""Messages between a pool and its child processes: frames on a stream, and what is in them.

Not the frames of `multiprocessing.Connection`: those are read with a call that blocks until the
whole message has arrived. A child that stops in the middle of one would stop the parent too.

Each call, result and error is pickled separately. One that cannot be pickled or unpickled is the
failure of its own job and of no other.
"""

import pickle
from collections.abc import Mapping
from enum import IntEnum
from multiprocessing.reduction import ForkingPickler
from struct import Struct
from typing import Any

from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.settle import call_name
from dewar.tasks.errors import JobFailed
from dewar.tasks.serialization.class_names import class_name
from dewar.tasks.serialization.error_text import text_of, traceback_of
from dewar.tasks.serialization.failures import RemoteTraceback

_HEADER = Struct("!BQ")


class FrameKind(IntEnum):
    """The kind of a message."""

    #: To the child.
    CALL = 1
    #: From the child.
    READY = 2
    RESULT = 3
    ERROR = 4
    PROGRESS = 5
    #: The job waits for another: the payload is its id, or empty when that has ended.
    WAIT = 7
    #: The initializer failed; the payload is the traceback.
    BROKEN = 6
    #: The memory of the process after its job, in bytes.
    MEMORY = 8
    #: To the child, on its second connection, which it reads while a job runs. The payload is the
    #: number of the job, from 1 on: a late message must not reach the next one.
    CANCEL = 9
    SOFT_TIMEOUT = 10


def frame(kind: FrameKind, payload: bytes | memoryview = b"") -> bytes:
    """Return the bytes of a message."""
    return b"".join((_HEADER.pack(kind, len(payload)), payload))


class Frames:
    """Splits a stream of bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[FrameKind, bytes]]:
        """Add received bytes; return the messages that are complete now."""
        held = self._data
        held += data
        messages = []
        while len(held) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(held)
            end = _HEADER.size + length
            if len(held) < end:
                break
            messages.append((FrameKind(kind), bytes(memoryview(held)[_HEADER.size : end])))
            del held[:end]
        return messages

    def __repr__(self) -> str:
        return f"<Frames, {len(self._data)} bytes of the next>"


_NUMBER = Struct("!Q")


def pack_number(number: int) -> bytes:
    """Return a number as bytes."""
    return _NUMBER.pack(number)


def unpack_number(data: bytes) -> int:
    """Return the number that `pack_number` has packed."""
    number: int = _NUMBER.unpack(data)[0]
    return number


def pack_call(call: JobCall, portable: Mapping[str, Any] | None) -> bytes:
    """Return a call as bytes, with its context as plain JSON.

    Raises:
        Exception: Any error of pickling.
    """
    known = (call_name(call), call.soft_timeout, call.described is not None)
    return _dumps((call.function, call.args, dict(call.kwargs), portable, known))


def pack_result(name: str, result: object) -> bytes:
    """Return a result as bytes.

    Raises:
        Exception: Any error of pickling, with a note that the result caused it.
    """
    try:
        return _dumps(result)
    except Exception as error:
        error.add_note(
            f"The result of {name}, a {type(result).__name__}, cannot be sent back from the"
            " process. Return something that can be pickled."
        )
        raise


def pack_error(error: BaseException) -> bytes:
    """Return an error as bytes. This never fails."""
    text = traceback_of(error)
    kind = class_name(type(error))
    try:
        pickled = _dumps(error)
    except BaseException:  # noqa: BLE001  # the error may hold a lock, for example
        pickled = None
    return pickle.dumps((kind, text_of(error), text, pickled))


def unpack_error(data: bytes) -> BaseException:
    """Return the error, or a `JobFailed` if it cannot be unpickled in this process."""
    kind, shown, text, pickled = pickle.loads(data)  # noqa: S301  # from our own child
    error: BaseException = JobFailed(kind, shown, text)
    if pickled is not None:
        try:
            made = pickle.loads(pickled)  # noqa: S301  # as above
        except BaseException:  # noqa: BLE001  # its class may need other arguments, or exit
            made = None
        if isinstance(made, BaseException):
            error = made
    error.__cause__ = RemoteTraceback(text)
    return error


def _dumps(value: object) -> bytes:
    # This pickler can also send connections and locks of multiprocessing.
    return bytes(ForkingPickler.dumps(value))

"""How a call goes to a child process, and its outcome comes back.

Everything is pickled for itself, so that what cannot be pickled or unpickled spoils its own job and
no other.
"""

import pickle
from collections.abc import Callable, Mapping
from multiprocessing.reduction import ForkingPickler
from traceback import format_exception
from typing import Any

from dewar.tasks.errors import JobFailed


class RemoteTracebackError(Exception):
    """The cause of an error that came from another process: it shows the traceback from there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def pack_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    portable: Mapping[str, Any] | None,
) -> bytes:
    """Return a call as bytes.

    Raises:
        Exception: Whatever pickling raises.
    """
    return _dumps((function, args, dict(kwargs), portable))


def pack_result(name: str, result: object) -> bytes:
    """Return a result as bytes.

    Raises:
        Exception: Whatever pickling raises, with a note that it was the result.
    """
    try:
        return _dumps(result)
    except Exception as error:
        error.add_note(
            f"It was the result of {name}, a {type(result).__name__}, that cannot be sent back from"
            " the process. Return something that pickles."
        )
        raise


def pack_error(error: BaseException) -> bytes:
    """Return an error as bytes, which always works."""
    text = "".join(format_exception(error))
    kind = f"{type(error).__module__}:{type(error).__qualname__}"
    try:
        pickled = _dumps(error)
    except Exception:  # noqa: BLE001  # it is an error with a lock in it, or anything else
        pickled = None
    return pickle.dumps((kind, _shown(error), text, pickled))


def unpack_error(data: bytes) -> BaseException:
    """Return the error, or a `JobFailed` where it cannot be made again in this process."""
    kind, shown, text, pickled = pickle.loads(data)  # noqa: S301  # from our own child
    error: BaseException = JobFailed(kind, shown, text)
    if pickled is not None:
        try:
            made = pickle.loads(pickled)  # noqa: S301  # as above
        except Exception:  # noqa: BLE001  # its class wants other arguments than it keeps
            made = None
        if isinstance(made, BaseException):
            error = made
    error.__cause__ = RemoteTracebackError(text)
    return error


def _dumps(value: object) -> bytes:
    # It knows how to send connections and locks of multiprocessing where those may go.
    return bytes(ForkingPickler.dumps(value))


def _shown(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # an error whose text is wrong is an error all the same
        return "(its text cannot be had)"

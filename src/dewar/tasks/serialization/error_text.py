"""The text and the traceback of an exception. Neither fails, whatever its own methods raise."""

import traceback

#: Characters of a traceback that are kept. They are its end, where the exception is.
_TRACEBACK = 32768
#: Characters of a text that are kept.
_TEXT = 65536


def traceback_of(exception: BaseException) -> str:
    """Return the formatted traceback, of a long one the end; "" for an error that was never raised.

    Such an error has no frames, and needs no remote cause.
    """
    try:
        was_raised = exception.__traceback__ is not None
        has_reason = exception.__cause__ is not None or exception.__context__ is not None
        if was_raised or has_reason or isinstance(exception, BaseExceptionGroup):
            return "".join(traceback.format_exception(exception))[-_TRACEBACK:]
    except BaseException as error:  # noqa: BLE001  # as above; or there are too many frames
        return f"The traceback cannot be made: {type(error).__name__}\n"
    return ""


def text_of(exception: BaseException) -> str:
    """Return the text of an exception; of a long one, the beginning."""
    try:
        text = str(exception)
    except BaseException as error:  # noqa: BLE001  # a __str__ of the user's that fails
        kind, why = type(exception).__name__, type(error).__name__
        return f"<{kind} whose text cannot be made: {why}>"
    if len(text) <= _TEXT:
        return text
    return f"{text[:_TEXT]}... ({len(text)} characters)"

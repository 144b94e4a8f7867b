"""The end of a forked process, which must not return to the callers of its parent."""

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def exit_status(error: SystemExit) -> int:
    """Return the status that the interpreter ends with."""
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def leave(status: int) -> NoReturn:
    """End the process as the interpreter would, without returning to the parent's callers."""
    try:
        # Waits for the application's non-daemon threads and executors.
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError, OSError):
                stream.flush()
    finally:
        os._exit(status)


def leave_as_raised(error: BaseException | None) -> NoReturn:
    """End the process as the interpreter would after *error*, or after the last line."""
    if error is None:
        leave(0)
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        leave(1)
    if error.code is not None and not isinstance(error.code, int):
        print(error.code, file=sys.stderr)  # noqa: T201
    leave(exit_status(error))

"""`report_crashes_soon`: what a process writes when a fatal signal ends it."""

import faulthandler
import io
import sys
from contextlib import suppress

from dewar.support.background_thread import BackgroundThread


def report_crashes_soon() -> BackgroundThread:
    """Have fatal signals write where each thread is; return the thread that sets that up.

    Not on the main thread, because `faulthandler` gives its caller a small signal stack, and the
    handlers of all signals use it (SA_ONSTACK). Several signals at once, each interrupting the
    handler of another, would overflow it into the heap.
    """
    thread = BackgroundThread("dewar-faulthandler", _report_crashes)
    thread.start()
    return thread


def _report_crashes() -> None:
    # The app may have its own file for it, and there may be no real stderr.
    if not faulthandler.is_enabled():
        with suppress(io.UnsupportedOperation, AttributeError, ValueError, RuntimeError):
            faulthandler.enable(sys.__stderr__ or sys.stderr)

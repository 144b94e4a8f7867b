"""The current request in another thread, greenlet or task."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar

from dewar.contexts.current import current_request

P = ParamSpec("P")
R = TypeVar("R")


def copy_current_request_context(f: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs `f` with the request that is current now.

    The wrapped function may run many times, at the same time and after the request has ended:
    each call has its own context and `g`, with the same request object and session::

        @copy_current_request_context
        def work() -> None:
            send_mail(session["user"])

        threading.Thread(target=work).start()

    Raises:
        UnboundError: If no request is being handled.
    """
    # Copied now, because the request may be over when the function runs; and again for each
    # call, because a context belongs to one owner at a time.
    snapshot = current_request("copy_current_request_context").copy()

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        context = snapshot.copy()
        with context:
            return context.app.ensure_sync(f)(*args, **kwargs)

    return update_wrapper(wrapper, f)

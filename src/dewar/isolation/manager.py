"""`LocalManager`: releases several locals at once, at the end of a request."""

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wsgi import ClosingIterator

from dewar.isolation.local import Local, release_local
from dewar.isolation.owner import current_ident
from dewar.isolation.stack import LocalStack


class LocalManager:
    """Releases a group of `Local` and `LocalStack` objects with one call.

    A Dewar app does not need one, because each request runs in its own context. It is for other
    WSGI apps, and for scripts that reuse one thread for several jobs.

    Args:
        locals: One local, or several. The list `locals` can be extended later.
    """

    __slots__ = ("locals",)

    def __init__(
        self,
        locals: Local | LocalStack[Any] | Iterable[Local | LocalStack[Any]] | None = None,  # noqa: A002  # the documented name
    ) -> None:
        self.locals: list[Local | LocalStack[Any]]
        if locals is None:
            self.locals = []
        elif isinstance(locals, (Local, LocalStack)):
            self.locals = [locals]
        else:
            self.locals = list(locals)

    def get_ident(self) -> int:
        """Return the ident of the running task, greenlet or thread."""
        return current_ident()

    def cleanup(self) -> None:
        """Release every local of this manager for the running owner."""
        for local in self.locals:
            release_local(local)

    def make_middleware(self, app: WSGIApplication) -> WSGIApplication:
        """Return a WSGI app that runs `app` and releases the locals when its response closes."""

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return ClosingIterator(app(environ, start_response), self.cleanup)

        return application

    def middleware(self, func: Callable[..., Any]) -> WSGIApplication:
        """Decorate a WSGI function like `make_middleware`, and keep its name."""
        return update_wrapper(self.make_middleware(func), func)

    def __repr__(self) -> str:
        return f"<LocalManager locals: {len(self.locals)}>"

"""`Snapshot`: a copy of the context that a job was submitted in.

A snapshot is taken once and may run many times, also at the same time; it is never changed. Each
run has new contexts: an app context, and on it a request context if there was one.

- The request's teardown functions are not called again: they are called where the request is
  handled.
- The app context's teardown functions are called at the end of each run, for what the run has
  opened. The submitter closes what it had in `g`, so those values are removed before.
"""

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Self

from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from dewar.contexts.current import contexts
from dewar.contexts.interface import ContextApp
from dewar.contexts.portable import (
    maybe_pack_body,
    pack_environ,
    pack_form,
    pack_items,
    unpack_items,
)
from dewar.contexts.unavailable import (
    AbsentBody,
    AbsentFiles,
    ReadOnlySession,
    namespace_without,
)
from dewar.environ_keys import UPGRADE
from dewar.support.redaction import IsSecret

_IMMUTABLE = frozenset({type(None), bool, int, float, str, bytes})
# PEP 3333 requires them; the values are those of a process that serves no requests.
_FAR_VARIABLES = {
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotRequest:
    """A request as it was when the snapshot was taken."""

    environ: Mapping[str, Any]
    #: None if it was not read, or is too large for another process.
    body: bytes | None
    #: The fields of a form that was read, and whether files came with it.
    form: list[tuple[str, str]] | None = None
    had_files: bool = False
    session: Mapping[str, Any]
    session_absent: Collection[str] = ()
    url_rule: Rule | None = None
    view_args: Mapping[str, Any] | None = None
    routing_exception: HTTPException | None = None

    @classmethod
    def take(cls, context: Any) -> Self:
        """Return a copy of a request context."""
        # Opened now, because the store may change until the job runs.
        session = context._dewar_open_session()
        environ = {k: v for k, v in context._dewar_environ.items() if not _is_of_the_server(k)}
        read = {} if context._dewar_request is None else vars(context._dewar_request)
        form = read.get("form")
        return cls(
            environ=environ,
            body=read.get("_cached_data", b"" if _has_no_body(environ) else None),
            form=None if form is None else list(form.items(multi=True)),
            had_files=bool(read.get("files")),
            session={name: _own(value) for name, value in session.items()},
            session_absent=getattr(session, "_dewar_absent", ()),
            url_rule=context._dewar_url_rule,
            view_args=context._dewar_view_args and dict(context._dewar_view_args),
            routing_exception=context._dewar_routing_exception,
        )

    def open(self, app: ContextApp) -> Any:
        """Return a new context for the request."""
        environ = {**self.environ, "wsgi.input": AbsentBody()}
        if self.body is not None:
            environ["wsgi.input"] = BytesIO(self.body)
        if self.body:
            environ["CONTENT_LENGTH"] = str(len(self.body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        context = app.request_context(environ)
        context._dewar_session = ReadOnlySession(self.session, self.session_absent)
        context._dewar_url_rule = self.url_rule
        context._dewar_view_args = self.view_args and dict(self.view_args)
        context._dewar_routing_exception = self.routing_exception
        if self.form is not None:
            vars(context.request).update(
                form=ImmutableMultiDict(self.form),
                files=AbsentFiles() if self.had_files else ImmutableMultiDict(),
                stream=environ["wsgi.input"],
            )
        return context

    def portable(self, is_secret: IsSecret) -> dict[str, Any]:
        """Return it as plain JSON, without what `is_secret` names."""
        session, absent = pack_items(self.session)
        body = maybe_pack_body(self.body, self.environ.get("CONTENT_TYPE", ""), is_secret)
        return {
            "environ": pack_environ(self.environ, is_secret),
            "body": None if body is None else b64encode(body).decode(),
            "form": pack_form(self.form, is_secret),
            "had_files": self.had_files,
            "session": session,
            "session_absent": [*absent, *self.session_absent],
        }

    @classmethod
    def from_portable(cls, portable: Mapping[str, Any]) -> Self:
        """Return the request from what `portable` returned."""
        body, form = portable["body"], portable["form"]
        return cls(
            environ={**_FAR_VARIABLES, "wsgi.errors": sys.stderr, **portable["environ"]},
            body=None if body is None else b64decode(body),
            form=None if form is None else [(name, value) for name, value in form],
            had_files=portable["had_files"],
            session=unpack_items(portable["session"]),
            session_absent=portable["session_absent"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The app, `g`, and the request with its session, as they were at one moment."""

    app: ContextApp
    g: Mapping[str, Any] = field(default_factory=dict)
    #: The names of the values of `g` that could not be sent.
    g_absent: Collection[str] = ()
    request: SnapshotRequest | None = None

    @classmethod
    def take(cls, context: Any) -> Self:
        """Return a copy of a context, with the request in it if that is of the same app."""
        carrier = context._dewar_request_context
        request = carrier is not None and carrier.app is context.app
        return cls(
            app=context.app,
            g=dict(vars(context.g)),
            request=SnapshotRequest.take(carrier) if request else None,
        )

    def run(
        self, function: Callable[..., Any], args: Collection[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call the function in new contexts, and run a coroutine function to its end.

        No context is current afterwards: call this in a new `contextvars.Context`.
        """
        with self.opened():
            return self.app.ensure_sync(function)(*args, **kwargs)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make new contexts current for a ``with`` block; see `run`."""
        contexts.writer(None)
        context = self.app.app_context()
        if self.g_absent:
            context.g = namespace_without(self.app.app_ctx_globals_class, self.g_absent)
        with context:
            state = contexts.state
            # The app's own values, set when the context was pushed, go before those carried.
            namespace = vars(context.g)
            for name, value in self.g.items():
                namespace.setdefault(name, value)
            request = None if self.request is None else self.request.open(self.app)
            try:
                if request is not None:
                    request.push()
                yield
            finally:
                # Without its hooks, and with anything that the function left pushed.
                contexts.writer(state)
                _close(request)
                for name in [k for k, value in self.g.items() if namespace.get(k) is value]:
                    del namespace[name]

    def portable(self, is_secret: IsSecret) -> dict[str, Any]:
        """Return it as plain JSON, without secrets and without the app.

        Args:
            is_secret: Returns whether a name is that of a field with credentials, as
                `dewar.support.redaction.secret_names` makes it.
        """
        packed, absent = pack_items(self.g)
        return {
            "g": packed,
            "g_absent": [*absent, *self.g_absent],
            "request": None if self.request is None else self.request.portable(is_secret),
        }

    @classmethod
    def from_portable(cls, app: ContextApp, portable: Mapping[str, Any]) -> Self:
        """Return the snapshot from what `portable` returned."""
        request = portable["request"]
        return cls(
            app=app,
            g=unpack_items(portable["g"]),
            g_absent=portable["g_absent"],
            request=None if request is None else SnapshotRequest.from_portable(request),
        )


def _close(context: Any) -> None:
    made = None if context is None else context._dewar_request
    if made is None:
        return
    # Only files that were parsed from the carried body are open.
    files = vars(made).get("files")
    if files is not None and not isinstance(files, AbsentFiles):
        made.close()
    # Otherwise the memory waits for the garbage collector.
    made.environ["werkzeug.request"] = None


def _is_of_the_server(name: str) -> bool:
    return name in {"wsgi.input", "werkzeug.request", UPGRADE} or name.endswith(".socket")


def _has_no_body(environ: Mapping[str, Any]) -> bool:
    return not environ.get("HTTP_TRANSFER_ENCODING") and environ.get("CONTENT_LENGTH") in {
        None,
        "",
        "0",
    }


def _own(value: Any) -> Any:
    # PERF: the values of nearly all sessions need no deepcopy.
    return value if type(value) in _IMMUTABLE else deepcopy(value)

"""One request's way through the application and back (PEP 3333).

An exchange lives as long as its request. The application may keep ``start_response`` and ``write``,
but they raise an error afterwards and cannot affect the next request of the connection.

If the application returns something that waits on the event loop, `respond` returns without a
response, and an `AsyncExchange` does the rest.
"""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import Self

from dewar.loop.async_body import AsyncBody
from dewar.loop.suspended import Suspended
from dewar.server.connection.continue_body import ContinueBody
from dewar.server.connection.response import ResponsePhase, ResponseWriter
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.transport import Transport
from dewar.server.errors import BodyError, ClientGoneError, Refusal
from dewar.server.wire.errors import INTERNAL
from dewar.server.wire.request import Body, Environ
from dewar.server.wire.writer import Framing
from dewar.support.error_place import place_of

_logger = logging.getLogger("dewar.server")

# nginx logs this if the client disconnects before there is a response; it is never sent.
_CLIENT_GONE = "499 Client Closed Request"
_INTERNAL_ERROR = Refusal(INTERNAL, "Internal Server Error")

# PERF: a member of an enum is slower to reach than a name of this module.
_FRESH, _STARTED = ResponsePhase.FRESH, ResponsePhase.STARTED
_SENT, _DONE = ResponsePhase.SENT, ResponsePhase.DONE
_NONE = Framing.NONE
SUSPENDING = frozenset({AsyncBody, Suspended})


class Exchange(ResponseWriter):
    """A request that the application can answer."""

    __slots__ = ("_began",)

    def begin(self, environ: Environ, http11: bool, keep_alive: bool, body: Body | None) -> Self:
        """See `WireRequest.begin`; PERF: it is repeated here, without the call."""
        self.environ = environ
        self.http11 = http11
        self.keep_alive = self.persists = keep_alive
        self.body = body
        if body is None:
            # Its own and not a shared one: an application may set attributes, or replace methods.
            environ["wsgi.input"] = BytesIO()
        self.method = environ["REQUEST_METHOD"]
        self.target = environ["REQUEST_URI"]
        self.awaited = None
        self._phase = _FRESH
        self._framing = _NONE
        self._sent = 0
        return self

    def respond(self, server_context: ServerContext, transport: Transport) -> None:
        """Run the application, send its response, and call its ``close``. Never raises.

        If something is `awaited` afterwards, the exchange has not ended.

        Args:
            server_context: The application and its server.
            transport: Where the response goes.
        """
        self._server_context = server_context
        self._transport = transport
        if server_context.logs_access:
            self._began = server_context.access_log.clock()
        try:
            app = server_context.app  # PERF: a call of an attribute that is no method is slower
            result = app(self.environ, self.start_response)
            # PERF: a list or tuple has no close().
            if (type(result) is list or type(result) is tuple) and self._phase is _STARTED:
                self._send_whole(result[0] if len(result) == 1 else b"".join(result))
            elif type(result) in SUSPENDING and server_context.suspends:
                self._suspend(result)
                return
            else:
                self.deliver(result)
                if self.awaited is not None:
                    return
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end the thread
            self.fail(error)
        # PERF: `end` without the call.
        self._phase = _DONE
        if self.body is not None:
            self.body.close()
        if server_context.logs_access:
            server_context.access_log.log(self.environ, self, self._status, self._sent, self._began)

    def go_on(self) -> None:
        """Send more of the `PiecewiseBody` that is `awaited`. Never raises.

        If something is `awaited` afterwards, the exchange has not ended.
        """
        body, self.awaited = self.awaited, None
        try:
            if body is not None:
                self._send_iterated(body)
        except BaseException as error:  # noqa: BLE001 - as above
            self.fail(error)
        if self.awaited is None:
            self.end()

    def await_answer(
        self, server_context: ServerContext, transport: Transport, awaited: Iterable[bytes]
    ) -> None:
        """Begin with a response that the application has returned; replaces `respond`."""
        self._server_context = server_context
        self._transport = transport
        if server_context.logs_access:
            self._began = server_context.access_log.clock()
        self.awaited = awaited

    def fail(self, error: BaseException) -> None:
        """Log *error*; answer 500, or close the connection if the head was sent."""
        before, self._phase = self._phase, _DONE
        if isinstance(error, ClientGoneError):
            self.persists = False
            if before is _FRESH:
                self._status = _CLIENT_GONE
            self._transport.abort()
            self._reset_if_open_ended(before)
            _logger.debug("%r: %s", self, error)
            return
        if isinstance(error, BodyError):
            _logger.debug("%r: %s", self, error)
        else:
            self._log_failure(error, "failed")
        if before in (_FRESH, _STARTED):
            self._answer(error.refusal if isinstance(error, BodyError) else _INTERNAL_ERROR)
        elif before is _SENT:
            self.persists = False
            self._reset_if_open_ended(before)

    def end(self) -> None:
        """Release the request, and log it. Nothing more is sent."""
        self._phase = _DONE
        if self.body is not None:
            self.body.close()
        if self._server_context.logs_access:
            self._server_context.access_log.log(
                self.environ, self, self._status, self._sent, self._began
            )

    def _send_whole(self, body: bytes) -> None:
        """Send a response with a complete body. PERF: most have the head of an earlier one."""
        server_context = self._server_context
        latest = server_context.writer.latest.get(len(body)) if type(body) is bytes else None
        if (
            latest is not None
            and latest[0] == self._status
            and latest[1] == self._headers
            and self.persists
            and self.http11
            and self.method != "HEAD"
            and type(self.body) is not ContinueBody
            and not server_context.draining
        ):
            self._phase = _SENT
            self._transport.send(latest[2] + body)
            self._sent = len(body)
        else:
            super()._send_whole(body)

    def _log_failure(self, error: BaseException, what: str) -> None:
        from asyncio import CancelledError  # here, because most apps have no coroutines

        if isinstance(error, CancelledError):
            # If the server cancels, the error is another one.
            place = place_of(error)
            _logger.error("%r %s: it was cancelled by the program, in %s", self, what, place)
        else:
            _logger.error("%r %s", self, what, exc_info=error)

    def _reset_if_open_ended(self, before: ResponsePhase) -> None:
        """End a part of a body with a reset, if its end would be that of the connection."""
        if before is _SENT and self._framing is Framing.CLOSE:
            self._transport.reset()

    def _suspend(self, awaited: Iterable[bytes]) -> None:
        self.awaited = awaited
        if type(self.body) is ContinueBody:
            # Reading it later would block the event loop.
            self.body.prefetch()

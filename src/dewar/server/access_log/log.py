"""The access log of one server: a line for each response, to `logging` or to a file."""

import logging
import threading
import time
from collections.abc import Callable
from logging import LogRecord
from typing import Any

from dewar.server.access_log.file import LogFile
from dewar.server.access_log.line_formats import CombinedFormat, Format, JsonFormat, Record
from dewar.server.errors import Refusal
from dewar.server.settings.settings import Settings
from dewar.server.wire.request import Environ, WireRequest

_logger = logging.getLogger("dewar.server.access")
_faults = logging.getLogger("dewar.server")
_NO_DETAILS = (0.0, "")
# So many lines are written at once, also if more requests have arrived together.
_BATCH = 64


class AccessLog:
    """Writes a line for each response.

    Without a file the lines go to the logger ``dewar.server.access`` at INFO. With one they wait
    for `flush`: the leader calls it before it waits for clients, and each other thread when it has
    ended a request. So the lines of requests that arrive together are one write. Any thread may use
    it between `open` and `close`; a signal handler may call `reopen`.

    Args:
        settings: Whether and where to write, and in which format.
        clock: A monotonic clock in seconds, for durations.

    Attributes:
        clock: What says when a request begins. PERF: `float`, which returns 0.0, if no line has a
            duration.
    """

    __slots__ = (
        "_changing", "_file", "_flushing", "_format", "_is_timed", "_path", "_records", "clock"
    )  # fmt: skip

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._is_timed = settings.access_log_format == "json"
        self.clock: Callable[[], float] = clock if self._is_timed else float
        self._format: Format = (JsonFormat() if self._is_timed else CombinedFormat()).lines
        self._path = settings.access_log_file if settings.access_log else None
        # Held while the file changes, never while a line is written. Re-entrant, because a signal
        # may arrive while it is held.
        self._changing = threading.RLock()
        self._file: LogFile | None = None
        # Any thread appends; the one that holds the lock takes what is there. PERF: the lines of a
        # batch are made in one loop, when they are written.
        self._records: list[Record] = []
        self._flushing = threading.Lock()

    def __repr__(self) -> str:
        return f"<AccessLog to {self._path or _logger.name}>"

    def open(self) -> None:
        """Open the file, if there is one.

        Raises:
            LogFileError: It cannot be opened.
        """
        with self._changing:
            if self._path is not None and self._file is None:
                self._file = LogFile(self._path)

    def reopen(self) -> None:
        """Open a new file of the same name, after the current one was renamed.

        If that fails, the error is logged and the current file stays in use.
        """
        try:
            with self._changing:
                if self._file is not None:
                    self._file.reopen()
        except OSError as error:
            _faults.error("%s The file that is open stays in use.", error)

    def close(self) -> None:
        """Write what waits, and close the file, after the last thread has logged."""
        self.flush()
        with self._changing:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def flush(self) -> None:
        """Write the lines that wait."""
        records = self._records
        if not records:
            return
        with self._flushing:
            file, taken = self._file, records.copy()
            del records[: len(taken)]
            if file is not None and taken:
                file.write("\n".join(self._lines(taken)))

    def log(
        self,
        environ: Environ,
        request: WireRequest | None,
        status: str,
        sent: int,
        began: float | None = None,
    ) -> None:
        """Log one response.

        Args:
            environ: The environ of the request, or of the connection.
            request: The request, if it could be parsed.
            status: The status line.
            sent: The bytes of the body.
            began: When the request began, by the clock; None if the application never had it.
        """
        file = self._file
        if file is None and not _logger.isEnabledFor(logging.INFO):
            return
        try:
            client = (
                environ.get("REMOTE_ADDR", ""),
                # One that an application has set may have a text only in its request.
                str(environ.get("REMOTE_USER") or ""),
                environ.get("HTTP_REFERER", ""),
                environ.get("HTTP_USER_AGENT", ""),
            )
            what: tuple[Any, ...] = (
                (None, None, None, status)
                if request is None
                else (request.method, request.target, request.http11, status)
            )
            details = self._details(environ, began) if self._is_timed else _NO_DETAILS
            record = time.time(), sent, client, what, details
            if file is None:
                self._emit(record)
            else:
                self._records.append(record)
        except Exception:  # noqa: BLE001
            # A bad value in the environ, or a failing logging filter, must not end a connection
            # whose response was sent.
            _faults.exception("%r failed", self)
        if len(self._records) >= _BATCH:
            self.flush()

    def log_refusal(
        self, environ: Environ, refusal: Refusal, request: WireRequest | None = None
    ) -> None:
        """Log a response that the server made without the application.

        Args:
            environ: The environ of the connection.
            refusal: The response.
            request: The request, if it could be parsed.
        """
        if request is not None:
            environ = request.environ
        self.log(environ, request, refusal.status, len(refusal.reason) + 1)

    def _details(self, environ: Environ, began: float | None) -> tuple[float, str]:
        duration = 0.0 if began is None else self.clock() - began
        return duration, environ.get("HTTP_X_REQUEST_ID", "")

    def _emit(self, record: Record) -> None:
        for line in self._lines([record]):
            # PERF: two thirds of the time of info(), which looks up the line of its caller.
            _logger.handle(LogRecord(_logger.name, logging.INFO, __file__, 0, line, None, None))

    def _lines(self, records: list[Record]) -> list[str]:
        """Return the lines of *records*."""
        try:
            return self._format(records)
        except Exception:  # noqa: BLE001  # a value is no text, or has no hash
            return [line for record in records for line in self._lines_of(record)]

    def _lines_of(self, record: Record) -> list[str]:
        """Return the line of a record whose values may be anything, or none if that fails."""
        now, sent, client, what, (duration, request_id) = record
        try:
            texts = tuple(str(value or "") for value in client)
            return self._format([(now, sent, texts, what, (duration, str(request_id or "")))])
        except Exception:  # noqa: BLE001  # a bad value must not cost the lines of others
            _faults.exception("%r failed", self)
            return []

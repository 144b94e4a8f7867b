"""The access log of one server: a line for each response, to `logging` or to a file."""

import logging
import threading
import time
from collections.abc import Callable
from logging import LogRecord

from dewar.server.access_log.file import LogFile
from dewar.server.access_log.line_formats import line_format
from dewar.server.errors import Refusal
from dewar.server.settings.settings import Settings
from dewar.server.wire.request import Environ, WireRequest

_logger = logging.getLogger("dewar.server.access")
_faults = logging.getLogger("dewar.server")
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
    """

    __slots__ = ("_changing", "_clock", "_file", "_flushing", "_format", "_lines", "_path")

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._format = line_format(settings.access_log_format)
        self._path = settings.access_log_file if settings.access_log else None
        # Held while the file changes, never while a line is written. Re-entrant, because a signal
        # may arrive while it is held.
        self._changing = threading.RLock()
        self._file: LogFile | None = None
        # Any thread appends; the one that holds the lock takes what is there.
        self._lines: list[str] = []
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
        lines = self._lines
        if not lines:
            return
        with self._flushing:
            file, taken = self._file, lines.copy()
            del lines[: len(taken)]
            if file is not None and taken:
                file.write("\n".join(taken))

    def log(self, request: WireRequest, status: str, sent: int, began: float) -> None:
        """Log one response.

        Args:
            request: The request.
            status: The status line.
            sent: The bytes of the body.
            began: When the request began, by the clock.
        """
        clock = self._clock  # PERF: a call of an attribute that is no method is slower
        self._log(request.environ, request, status, sent, clock() - began)

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
        self._log(environ, request, refusal.status, len(refusal.reason) + 1, 0.0)

    def _log(
        self, environ: Environ, request: WireRequest | None, status: str, sent: int, duration: float
    ) -> None:
        has_file = self._file is not None
        if not has_file and not _logger.isEnabledFor(logging.INFO):
            return
        make_line = self._format  # PERF: as above
        try:
            line = make_line(environ, request, status, sent, duration, time.time())
            if has_file:
                self._lines.append(line)
            else:
                # PERF: two thirds of the time of info(), which looks up the line of its caller.
                _logger.handle(LogRecord(_logger.name, logging.INFO, __file__, 0, line, None, None))
        except Exception:  # noqa: BLE001
            # A bad value in the environ, or a failing logging filter, must not end a connection
            # whose response was sent.
            _faults.exception("%r failed", self)
        if len(self._lines) >= _BATCH:
            self.flush()

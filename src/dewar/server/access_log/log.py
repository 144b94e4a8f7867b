"""The access log of one server: a line for each response, to `logging` or to a file."""

import logging
import threading
import time
from collections.abc import Callable
from logging import LogRecord

from dewar.server.access_log.file import LogFile
from dewar.server.access_log.record import line_format
from dewar.server.errors import Refusal
from dewar.server.settings.settings import Settings
from dewar.server.wire.request import Environ, WireRequest

_logger = logging.getLogger("dewar.server.access")
_faults = logging.getLogger("dewar.server")


class AccessLog:
    """Writes what a server answered.

    Without a file the lines go to the logger ``dewar.server.access`` at INFO. Safe for any thread
    between `open` and `close`; `reopen` may be called from a signal handler.

    Args:
        settings: Say whether, how, and where to.
        clock: The clock that durations are told by, in seconds.
    """

    __slots__ = ("_changing", "_clock", "_file", "_format", "_path")

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._format = line_format(settings.access_log_format)
        self._path = settings.access_log_file if settings.access_log else None
        # Held while the file changes, never while a line is written. Re-entrant, so that a signal
        # may come in the midst of it.
        self._changing = threading.RLock()
        self._file: LogFile | None = None

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
        """Go on in a new file of the same name, because the one so far was renamed.

        If there cannot be one, lines go on into the one so far, and the fault is logged.
        """
        try:
            with self._changing:
                if self._file is not None:
                    self._file.reopen()
        except OSError as error:
            _faults.error("%s The lines go on into the file that was open.", error)

    def close(self) -> None:
        """Close the file; only when no thread writes any more."""
        with self._changing:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def log(self, request: WireRequest, status: str, sent: int, began: float) -> None:
        """Log one response.

        Args:
            request: What it answers.
            status: Its status line.
            sent: The bytes of its body.
            began: When the request began, by the clock.
        """
        duration = self._clock() - began
        self._log(request.environ, request, status, sent, duration)

    def log_refusal(
        self, environ: Environ, refusal: Refusal, request: WireRequest | None = None
    ) -> None:
        """Log an answer that the application had no part in.

        Args:
            environ: That of the client's connection.
            refusal: The answer.
            request: What it answers, where that was understood.
        """
        if request is not None:
            environ = request.environ
        self._log(environ, request, refusal.status, len(refusal.reason) + 1, 0.0)

    def _log(
        self, environ: Environ, request: WireRequest | None, status: str, sent: int, duration: float
    ) -> None:
        if self._file is None and not _logger.isEnabledFor(logging.INFO):
            return
        try:
            line = self._format(environ, request, status, sent, duration, time.time())
            self._write(line)
        except Exception:  # noqa: BLE001
            # What an application puts into its environ, or a filter of somebody's, must not end
            # a connection that was answered.
            _faults.exception("%r failed", self)

    def _write(self, line: str) -> None:
        file = self._file
        if file is None:
            # PERF: two thirds of the time of info(), which looks for its caller's line.
            _logger.handle(LogRecord(_logger.name, logging.INFO, __file__, 0, line, None, None))
        else:
            file.write(line)

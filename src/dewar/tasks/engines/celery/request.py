"""`JobRequest`: a job in the worker's parent process, which reports that it has killed the job."""

import logging
from typing import Any

from celery.worker.request import Request

from dewar.tasks.engines.celery.messages import Message, MessageKind, reply_queue, send_message

_logger = logging.getLogger("dewar.tasks")

_RETRIES = 3


class JobRequest(Request):  # type: ignore[misc]  # celery has no types
    """A request of Celery that tells the submitter if the job is killed.

    The killed process cannot report that, but its parent can. Celery acknowledges the message in
    all these cases, so the job does not run again.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """See `celery.worker.request.Request`: the job has exceeded its time limit."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._tell(MessageKind.TIMEOUT, timeout)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """See `celery.worker.request.Request`: the job is to be stopped."""
        is_running = self.time_start is not None
        super().terminate(pool, signal)
        if is_running:
            self._tell(MessageKind.STOPPED, None)

    def revoked(self) -> bool:
        """See `celery.worker.request.Request`: whether the job was revoked before it began."""
        is_revoked = bool(super().revoked())
        if is_revoked:
            self._tell(MessageKind.STOPPED, None)
        return is_revoked

    def _tell(self, kind: MessageKind, content: object) -> None:
        try:
            reply = reply_queue(self.args[0]["reply"])
            with self._app.producer_or_acquire() as producer:
                send_message(producer, reply, Message(kind, self.id, content), _RETRIES)
        except Exception:
            # The error must not end the worker.
            _logger.exception("The end of job %s could not be reported: %s.", self.id, kind)

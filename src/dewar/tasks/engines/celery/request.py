"""`JobRequest`: a job in a worker's parent process, which tells when it kills one."""

import logging
from typing import Any

from celery.worker.request import Request

from dewar.tasks.engines.celery.messages import Message, MessageKind, reply_queue, send_message

_logger = logging.getLogger("dewar.tasks")

_RETRIES = 3


class JobRequest(Request):  # type: ignore[misc]  # celery has no types
    """A request of Celery's whose submitter hears of its violent end.

    The process that runs the job cannot tell any more; its parent can. In both cases Celery
    acknowledges the message, so that the job is not run again.
    """

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """See `celery.worker.request.Request`: the job's time is up."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._tell(MessageKind.TIMEOUT, timeout)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """See `celery.worker.request.Request`: somebody wants the job to stop."""
        is_running = self.time_start is not None
        super().terminate(pool, signal)
        if is_running:
            self._tell(MessageKind.STOPPED, None)

    def revoked(self) -> bool:
        """See `celery.worker.request.Request`: whether somebody wants the job not to run."""
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
            # It must not end the worker.
            _logger.exception("Nobody could be told that job %s has ended: %s.", self.id, kind)

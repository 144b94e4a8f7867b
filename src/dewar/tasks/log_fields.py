"""`JobLogFields`: a filter that adds the running job and the request to log records."""

import logging

from dewar.contexts.current import maybe_current_request
from dewar.tasks.progress import running

#: What a record has that belongs to no job, or to no request.
_NONE = "-"


class JobLogFields(logging.Filter):
    """Adds ``job_id``, ``task``, ``attempt`` and ``request_id`` to each record that passes.

    ::

        handler.addFilter(JobLogFields())
        handler.setFormatter(logging.Formatter("%(job_id)s %(request_id)s %(message)s"))

    Add it to a handler: the filters of a logger do not see the records of loggers below it. The id
    of a request is its ``X-Request-ID`` field, and that of the submitter's request in a job. What
    there is not is ``-``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; return True, because no record is refused."""
        job, context = running.get(None), maybe_current_request()
        record.job_id = _NONE if job is None else job.id or _NONE
        record.task = _NONE if job is None else job.task
        record.attempt = _NONE if job is None else job.attempt
        environ = {} if context is None else context._dewar_environ
        record.request_id = environ.get("HTTP_X_REQUEST_ID", _NONE)
        return True

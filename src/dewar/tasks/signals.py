"""The signals that tell of jobs: ``job_ended.connect(receiver, app)`` connects to one app.

The sender of each is the app, or the `Tasks` that have none. A receiver gets the job's `JobStatus`
as ``job``, and must accept ``**extra``. `dewar.tasks.runtime.signal_sender` says when it is called.
"""

from dewar.signals import signals

job_accepted = signals.signal("job-accepted", "Sent after a new job is in the ledger.")
job_started = signals.signal("job-started", "Sent after an attempt at a job has begun.")
job_progressed = signals.signal("job-progressed", "Sent after the progress of a job is written.")
job_retried = signals.signal(
    "job-retried", "Sent when a job waits for another attempt: it raised, or its process has died."
)
job_ended = signals.signal(
    "job-ended", "Sent after a job has ended: it is done, failed, cancelled or lost."
)

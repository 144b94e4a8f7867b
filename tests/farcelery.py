"""A team's own Celery app, to which the task that runs jobs is added."""

import os

from celery import Celery

from dewar.tasks.engines.celery.application import install

app = Celery("team", broker=os.environ.get("TEAM_BROKER", "memory://"), set_as_current=False)
app.conf.task_default_queue = "team"
app.conf.broker_connection_retry_on_startup = True
install(app, allow=["farjobs"], reply_timeout=1.0)

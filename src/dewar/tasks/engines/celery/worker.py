"""The Celery app for ``celery -A dewar.tasks.engines.celery.worker worker``.

The environment says where the broker is and which functions are allowed::

    export DEWAR_CELERY=celery+redis://127.0.0.1:6379/0
    export DEWAR_CELERY_ALLOW=myapp.jobs
    celery -A dewar.tasks.engines.celery.worker worker
"""

import os

from dewar.tasks.engines.celery.application import install, make_celery
from dewar.tasks.engines.celery.function_names import parse_allowed
from dewar.tasks.engines.celery.settings import CelerySettings

_settings = CelerySettings.parse(os.environ.get("DEWAR_CELERY", ""))
app = make_celery(_settings)
install(app, parse_allowed(os.environ.get("DEWAR_CELERY_ALLOW", "")), _settings.reply_timeout)

"""What is posted of a job whose process cannot say how it ended: it is lost, or was cancelled."""

import json
from collections.abc import Callable
from typing import TypeAlias

from dewar.tasks.ledger.records import JobRecord

#: Makes the body of a callback of a job that has ended. It must not call the ledger.
Describe: TypeAlias = Callable[[JobRecord], str]


def describe_record(record: JobRecord) -> str:
    """Return the body: which job, of what task, how it ended, and what went wrong if it did.

    The traceback stays here: it is nothing for a receiver.
    """
    told: dict[str, object] = {"id": record.id, "task": record.task, "state": record.state.value}
    if record.error is not None:
        error = json.loads(record.error)
        told["error"] = {"type": error["type"], "message": error["text"]}
    return json.dumps(told)

"""What is posted of a job whose process can't say how it ended: it is lost, or was cancelled."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from dewar.tasks.ledger.records import JobRecord

__all__ = ["Describe", "describe_end"]

#: Makes the body of a callback of a job that has ended. It must not call the ledger.
Describe: TypeAlias = Callable[[JobRecord], str]


def describe_end(record: JobRecord) -> str:
    """Return the body, as the Standard Webhooks specification lays one out."""
    ended = datetime.fromtimestamp(record.finished or record.created, UTC)
    return json.dumps(
        {
            "type": f"job.{record.state.value}",
            "timestamp": ended.isoformat().replace("+00:00", "Z"),
            "data": {
                "id": record.id,
                "task": record.task,
                "state": record.state.value,
                "error": None if record.error is None else json.loads(record.error),
            },
        }
    )

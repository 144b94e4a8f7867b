"""The records of the outbox."""

from dataclasses import dataclass
from enum import Enum


class DeliveryState(Enum):
    """The state of a callback. Its value is shown to users and stored in the database."""

    #: It waits to be sent, or is being sent.
    PENDING = "pending"
    DELIVERED = "delivered"
    #: All its attempts have failed.
    FAILED = "failed"
    #: Its URL is disabled.
    DISABLED = "disabled"


@dataclass(frozen=True, kw_only=True, slots=True)
class DueDelivery:
    """A callback that is due."""

    id: str
    url: str
    due: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A callback in the outbox. Times are seconds since the epoch."""

    #: The ``webhook-id``.
    id: str
    job_id: str
    url: str
    body: str
    created: float
    #: When it is sent next, if it is pending. During an attempt, when the lease runs out.
    due: float
    #: The number of attempts that have begun.
    attempts: int
    state: DeliveryState
    #: The process that sends it now.
    owner: str | None
    #: The status and the error of the last attempt.
    last_status: int | None
    last_error: str | None

"""What the outbox keeps of a callback."""

from dataclasses import dataclass
from enum import Enum


class DeliveryState(Enum):
    """Where a callback is in its life; the value is what users and the database see."""

    #: It is to be sent, or is being sent.
    PENDING = "pending"
    DELIVERED = "delivered"
    #: It was tried as often as it is to be.
    FAILED = "failed"
    #: Its URL wants nothing more.
    DISABLED = "disabled"


@dataclass(frozen=True, kw_only=True, slots=True)
class DueDelivery:
    """A callback that is due."""

    id: str
    url: str
    due: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A callback as the outbox has it. Times are seconds since the epoch."""

    #: The ``webhook-id``.
    id: str
    job_id: str
    url: str
    body: str
    created: float
    #: When it is sent next, if it is pending. While it is being sent, when the lease runs out.
    due: float
    #: How many times it was sent, or was about to be.
    attempts: int
    state: DeliveryState
    #: The process that is sending it.
    owner: str | None
    #: Of the last answer.
    last_status: int | None
    last_error: str | None

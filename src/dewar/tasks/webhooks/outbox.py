"""`Outbox`: the callbacks, in the ledger's database.

Rules for the file:

- The ledger inserts a callback in the transaction of the job's outcome.
- **A lease is a due time.** Claiming a callback moves its due time to the end of the lease. If the
  process dies, the callback is due again then, without any cleanup.
- An attempt is counted when it is claimed, so a callback that kills its process is not sent for
  ever.
- After another process has claimed a callback, only a successful delivery of the former one counts.
- No clock is read here: the caller gives each time.
"""

from collections.abc import Sequence
from typing import Any

from dewar.tasks.errors import MissingExtra

try:
    from sqlalchemy import Row, bindparam, exists, func, select, text, tuple_, update
except ModuleNotFoundError as error:
    raise MissingExtra("The outbox", "tasks") from error

from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.schema import deliveries, disabled_urls
from dewar.tasks.webhooks.records import Delivery, DeliveryState, DueDelivery
from dewar.tasks.webhooks.schedule import Delivered, DeliveryResult, Disabled, GaveUp, Retry, Step

# With literals, so that the partial index is used.
_PENDING = text("state = 'pending'")
_IDS = deliveries.c.id.in_(bindparam("ids", expanding=True))

_DUE = (
    select(deliveries.c.id, deliveries.c.url, deliveries.c.due)
    .where(_PENDING, deliveries.c.due <= bindparam("now"))
    .where(
        tuple_(deliveries.c.due, deliveries.c.id)
        > tuple_(bindparam("after_due"), bindparam("after_id"))
    )
    .order_by(deliveries.c.due, deliveries.c.id)
    .limit(bindparam("most"))
)
_NEXT_DUE = select(func.min(deliveries.c.due)).where(_PENDING)
_IS_DISABLED = exists().where(disabled_urls.c.url == deliveries.c.url)
_DROP = (
    update(deliveries)
    .where(_IDS, _PENDING, _IS_DISABLED)
    .values(state=DeliveryState.DISABLED.value, owner=None, lease_until=None)
)
_CLAIM = (
    update(deliveries)
    .where(_IDS, _PENDING, deliveries.c.due <= bindparam("now"))
    .values(
        owner=bindparam("holder"),
        due=bindparam("until"),
        lease_until=bindparam("until"),
        attempts=deliveries.c.attempts + 1,
    )
    .returning(deliveries)
)
_RECORD = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"), _PENDING)
    .values(owner=None, lease_until=None, last_status=bindparam("status"))
    .values(last_error=bindparam("error"), state=bindparam("becomes"))
)
_RECORD_CLAIMED = _RECORD.where(
    deliveries.c.owner == bindparam("holder"), deliveries.c.attempts == bindparam("number")
)
_RECORD_RETRY = _RECORD_CLAIMED.values(due=bindparam("at"))
_DISABLE = text(
    "INSERT INTO dewar_disabled_urls (url, since) VALUES (:url, :since)"
    " ON CONFLICT (url) DO NOTHING"
)
_DISABLE_WAITING = (
    update(deliveries)
    .where(deliveries.c.url == bindparam("which"), _PENDING, deliveries.c.owner.is_(None))
    .values(state=DeliveryState.DISABLED.value)
)
_ENABLE = disabled_urls.delete().where(disabled_urls.c.url == bindparam("which"))
_DISABLED = select(disabled_urls.c.url).order_by(disabled_urls.c.since)
_ONE_DISABLED = _DISABLED.where(disabled_urls.c.url == bindparam("which"))
_RETRY = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"))
    .where(deliveries.c.state != DeliveryState.DELIVERED.value)
    .where(deliveries.c.owner.is_(None) | (deliveries.c.due <= bindparam("now")))
    .values(state=DeliveryState.PENDING.value, due=bindparam("now"), attempts=0)
    .values(owner=None, lease_until=None)
)
_ONE = deliveries.select().where(deliveries.c.id == bindparam("which"))
_OF_JOB = (
    deliveries.select()
    .where(deliveries.c.job_id == bindparam("job"))
    .order_by(deliveries.c.created, deliveries.c.id)
)
_LIST = deliveries.select().order_by(deliveries.c.created.desc(), deliveries.c.id.desc())
_COUNTS = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)

_BECOMES = {
    Delivered: DeliveryState.DELIVERED,
    Retry: DeliveryState.PENDING,
    GaveUp: DeliveryState.FAILED,
    Disabled: DeliveryState.DISABLED,
}


class Outbox:
    """The outbox in a database. Any thread may use it, and after a fork the child too.

    Every method raises `LedgerError` if the database fails; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: float, limit: int, after: DueDelivery | None = None) -> list[DueDelivery]:
        """Return due callbacks, the oldest due first.

        Args:
            now: Seconds since the epoch.
            limit: The most to return.
            after: The last one of the page before.
        """
        place = (-1.0, "") if after is None else (after.due, after.id)
        given = {"now": now, "most": limit, "after_due": place[0], "after_id": place[1]}
        with self._database.reading() as connection:
            rows = connection.execute(_DUE, given)
            return [DueDelivery(id=row.id, url=row.url, due=row.due) for row in rows]

    def claim(self, ids: list[str], owner: str, now: float, until: float) -> list[Delivery]:
        """Claim the callbacks that are still due, and return them; only one owner gets each.

        Callbacks to a disabled URL are disabled too, and not returned.

        Args:
            ids: The ids of callbacks from `due`.
            owner: The id of the process that sends them.
            now: Seconds since the epoch.
            until: When the lease runs out.
        """
        given = {"ids": ids, "holder": owner, "now": now, "until": until}
        with self._database.writing() as connection:
            connection.execute(_DROP, {"ids": ids})
            return [_delivery(row) for row in connection.execute(_CLAIM, given)]

    def record(self, delivery: Delivery, step: Step, answer: DeliveryResult, now: float) -> bool:
        """Record an attempt; return whether it counts.

        It does not count if another process has claimed the callback after the lease, unless it
        was delivered.

        Args:
            delivery: The callback, as `claim` returned it.
            step: The next step.
            answer: The result of the attempt.
            now: Seconds since the epoch.
        """
        given: dict[str, Any] = {
            "which": delivery.id,
            "becomes": _BECOMES[type(step)].value,
            "status": answer.status,
            "error": answer.error,
        }
        claimed = {**given, "holder": delivery.owner, "number": delivery.attempts}
        with self._database.writing() as connection:
            if isinstance(step, Delivered):
                return connection.execute(_RECORD, given).rowcount == 1
            if isinstance(step, Retry):
                return connection.execute(_RECORD_RETRY, {**claimed, "at": step.at}).rowcount == 1
            if isinstance(step, Disabled):
                connection.execute(_DISABLE, {"url": delivery.url, "since": now})
                connection.execute(_DISABLE_WAITING, {"which": delivery.url})
            return connection.execute(_RECORD_CLAIMED, claimed).rowcount == 1

    def next_due(self) -> float | None:
        """Return when the next callback is due or a lease runs out; None if none is pending."""
        with self._database.reading() as connection:
            found: float | None = connection.execute(_NEXT_DUE).scalar_one()
        return found

    def look_up_disabled(self, url: str) -> bool:
        """Look up whether a receiver has disabled this URL."""
        with self._database.reading() as connection:
            return connection.execute(_ONE_DISABLED, {"which": url}).first() is not None

    def disabled(self) -> list[str]:
        """Return the disabled URLs, the oldest first."""
        with self._database.reading() as connection:
            return list(connection.execute(_DISABLED).scalars())

    def enable(self, url: str) -> bool:
        """Enable a URL; return whether it was disabled. Its dropped callbacks stay dropped."""
        with self._database.writing() as connection:
            return connection.execute(_ENABLE, {"which": url}).rowcount == 1

    def retry_now(self, id: str, now: float) -> bool:
        """Start the schedule of a callback again, and enable its URL; return whether that happened.

        Nothing happens if it was delivered, is being sent or is unknown.

        Args:
            id: The ``webhook-id``.
            now: Seconds since the epoch.
        """
        with self._database.writing() as connection:
            is_found = connection.execute(_RETRY, {"which": id, "now": now}).rowcount == 1
            if is_found:
                url = connection.execute(_ONE, {"which": id}).one().url
                connection.execute(_ENABLE, {"which": url})
            return is_found

    def get(self, id: str) -> Delivery | None:
        """Return the callback with this ``webhook-id``, or None."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"which": id}).one_or_none()
        return None if row is None else _delivery(row)

    def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return a job's callbacks, one for each of its ends, the oldest first."""
        with self._database.reading() as connection:
            return [_delivery(row) for row in connection.execute(_OF_JOB, {"job": job_id})]

    def list(self, state: DeliveryState | None = None, limit: int = 50) -> list[Delivery]:
        """Return callbacks, the newest first.

        Args:
            state: Only callbacks in this state.
            limit: The most to return.
        """
        found = _LIST if state is None else _LIST.where(deliveries.c.state == state.value)
        with self._database.reading() as connection:
            return [_delivery(row) for row in connection.execute(found.limit(limit))]

    def counts(self) -> dict[DeliveryState, int]:
        """Return the number of callbacks in each state. Purged jobs have none."""
        with self._database.reading() as connection:
            found = {row[0]: row[1] for row in connection.execute(_COUNTS)}
        return {state: found.get(state.value, 0) for state in DeliveryState}

    def __repr__(self) -> str:
        return f"<Outbox in {self._database.name}>"


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        url=row.url,
        body=row.body,
        created=row.created,
        due=row.due,
        attempts=row.attempts,
        state=DeliveryState(row.state),
        owner=row.owner,
        last_status=row.last_status,
        last_error=row.last_error,
    )

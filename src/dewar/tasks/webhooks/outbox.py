"""`Outbox`: the callbacks to be made, in the ledger's database.

Rules for the file:

- The ledger puts a callback in with the outcome that it tells, in one transaction.
- **A lease is a due date.** Who claims a callback moves its due date to the end of the lease; if
  the process dies, the callback is due again by then, and needs nobody to clean up.
- An attempt is counted when it is claimed: what kills its process is not sent for ever.
- What was claimed by another since is not touched, but a delivery is a delivery.
- No clock is read here: every time is the caller's.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, select, text, tuple_, update

from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.schema import deliveries, disabled_urls
from dewar.tasks.webhooks.records import Delivery, DeliveryState, DueDelivery
from dewar.tasks.webhooks.schedule import Delivered, DeliveryResult, Disabled, GaveUp, Retry, Step

# With literals, so that the index over what is pending is used.
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
_RECORD_OURS = _RECORD.where(
    deliveries.c.owner == bindparam("holder"), deliveries.c.attempts == bindparam("number")
)
_RECORD_RETRY = _RECORD_OURS.values(due=bindparam("at"))
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

    Every method raises `LedgerError` where the database fails; nothing was changed then.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: float, limit: int, after: DueDelivery | None = None) -> list[DueDelivery]:
        """Return what is due, the oldest first.

        Args:
            now: Seconds since the epoch.
            limit: At most so many.
            after: The last of the page before.
        """
        place = (-1.0, "") if after is None else (after.due, after.id)
        given = {"now": now, "most": limit, "after_due": place[0], "after_id": place[1]}
        with self._database.reading() as connection:
            rows = connection.execute(_DUE, given)
            return [DueDelivery(id=row.id, url=row.url, due=row.due) for row in rows]

    def claim(self, ids: list[str], owner: str, now: float, until: float) -> list[Delivery]:
        """Take those that are still due, and return them; none goes to two owners.

        What goes to a URL that is disabled is not returned, and never will be.

        Args:
            ids: Of `due`.
            owner: Who sends them.
            now: Seconds since the epoch.
            until: When the lease runs out.
        """
        given = {"ids": ids, "holder": owner, "now": now, "until": until}
        with self._database.writing() as connection:
            connection.execute(_DROP, {"ids": ids})
            return [_delivery(row) for row in connection.execute(_CLAIM, given)]

    def record(self, delivery: Delivery, step: Step, answer: DeliveryResult, now: float) -> bool:
        """Write down how an attempt went; return whether it counts.

        It does not where the lease has run out and another has claimed it, unless it was
        delivered.

        Args:
            delivery: As it was claimed.
            step: What is next.
            answer: What came.
            now: Seconds since the epoch.
        """
        given: dict[str, Any] = {
            "which": delivery.id,
            "becomes": _BECOMES[type(step)].value,
            "status": answer.status,
            "error": answer.error,
        }
        ours = {**given, "holder": delivery.owner, "number": delivery.attempts}
        with self._database.writing() as connection:
            if isinstance(step, Delivered):
                return connection.execute(_RECORD, given).rowcount == 1
            if isinstance(step, Retry):
                return connection.execute(_RECORD_RETRY, {**ours, "at": step.at}).rowcount == 1
            if isinstance(step, Disabled):
                connection.execute(_DISABLE, {"url": delivery.url, "since": now})
                connection.execute(_DISABLE_WAITING, {"which": delivery.url})
            return connection.execute(_RECORD_OURS, ours).rowcount == 1

    def next_due(self) -> float | None:
        """Return when the next is due, or a lease runs out; None where nothing is pending."""
        with self._database.reading() as connection:
            found: float | None = connection.execute(_NEXT_DUE).scalar_one()
        return found

    def look_up_disabled(self, url: str) -> bool:
        """Look up whether a receiver has said that this URL wants nothing more."""
        with self._database.reading() as connection:
            return connection.execute(_ONE_DISABLED, {"which": url}).first() is not None

    def disabled(self) -> list[str]:
        """Return the URLs that want nothing more, the first one first."""
        with self._database.reading() as connection:
            return list(connection.execute(_DISABLED).scalars())

    def enable(self, url: str) -> bool:
        """Let a URL be called again; return whether it was not. What was dropped stays so."""
        with self._database.writing() as connection:
            return connection.execute(_ENABLE, {"which": url}).rowcount == 1

    def retry_now(self, id: str, now: float) -> bool:
        """Have a callback sent again, from the beginning of its schedule; return whether it will.

        It won't where it was delivered, is being sent, or is unknown. Its URL is enabled.

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
        """Return a callback, or None where there is none of this ``webhook-id``."""
        with self._database.reading() as connection:
            row = connection.execute(_ONE, {"which": id}).one_or_none()
        return None if row is None else _delivery(row)

    def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return a job's callbacks: one for each time that it has ended, the first first."""
        with self._database.reading() as connection:
            return [_delivery(row) for row in connection.execute(_OF_JOB, {"job": job_id})]

    def list(self, state: DeliveryState | None = None, limit: int = 50) -> list[Delivery]:
        """Return callbacks, the newest first.

        Args:
            state: Only those in it.
            limit: At most so many.
        """
        found = _LIST if state is None else _LIST.where(deliveries.c.state == state.value)
        with self._database.reading() as connection:
            return [_delivery(row) for row in connection.execute(found.limit(limit))]

    def counts(self) -> dict[DeliveryState, int]:
        """Return how many are in each state, those of jobs that were purged left out."""
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

"""`WebhookDispatcher`: the threads that send the callbacks of a process.

- The **coordinator** is one thread. It alone reads the outbox, claims the due callbacks that have a
  slot, and starts a thread for each. Then it waits for the next due time, a wake-up or a free slot.
  It also polls for the callbacks of dead processes, which wake nobody.
- A **delivering thread** makes one attempt, records it, gives its slot back and ends. A slow
  receiver blocks only this slot.
- `_changed` guards the state, the slots and the threads. It is never held during I/O.

Nothing is started before `start`. A forked process has no threads, and begins with its own
`start`. The callbacks that a dead process had claimed are sent by another process after the lease:
a callback may come twice, with the same ``webhook-id``.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.webhooks.concurrency import ConcurrencyLimit
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.records import Delivery, DueDelivery
from dewar.tasks.webhooks.schedule import (
    Delivered,
    DeliveryResult,
    Disabled,
    GaveUp,
    Retry,
    Step,
    next_step,
)
from dewar.tasks.webhooks.settings import WebhookSettings

logger = logging.getLogger("dewar.tasks.webhooks")

#: The signature of `WebhookClient.post`.
PostWebhook = Callable[[str, str, str, float], DeliveryResult]

#: How often to poll for the callbacks of dead processes, in seconds.
_POLL_INTERVAL = 5.0
#: The callbacks in one page, and the most pages to search for hosts with a free slot.
_PAGE = 200
_PAGES = 25
#: A lease outlasts any attempt: it is twice the timeout, and this time to resolve and record.
_LEASE_MARGIN = 60.0


class _State(Enum):
    NEW = "new"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatcherStatistics:
    """The counts of the dispatcher in this process."""

    state: str
    #: Being sent now.
    sending: int
    delivered: int
    #: Failed attempts that are followed by another one.
    retried: int
    gave_up: int
    disabled: int


class WebhookDispatcher:
    """Sends the callbacks that are due.

    Args:
        outbox: The outbox that they are in.
        post: Makes one attempt.
        settings: The limits and the schedule.
        owner: The id of this process in the ledger.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        outbox: Outbox,
        post: PostWebhook,
        settings: WebhookSettings,
        *,
        owner: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._post = post
        self._settings = settings
        self._owner = owner
        self._clock = clock
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._state = _State.NEW
        self._is_woken = False
        self._limit = ConcurrencyLimit(self._settings.max_threads, self._settings.per_host)
        self._threads: set[threading.Thread] = set()
        self._steps: dict[type, int] = dict.fromkeys((Delivered, Retry, GaveUp, Disabled), 0)

    def start(self) -> None:
        """Start the coordinator, unless it was started in this process before."""
        if self._pid != os.getpid():
            # The parent has the threads, and one of them may have held the lock.
            self._begin_anew()
        with self._changed:
            if self._state is not _State.NEW:
                return
            self._start_thread(self._coordinate, (), "dewar-webhooks")
            self._state = _State.RUNNING

    def wake(self) -> None:
        """Have the outbox read soon: there may be a due callback in it."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def stop(self, timeout: float | None = None) -> bool:
        """Claim nothing more and wait for the running attempts; return whether all have ended.

        Another process repeats the others after their lease.

        Args:
            timeout: In seconds; None for no limit.
        """
        if self._pid != os.getpid():
            return True
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._state = _State.STOPPING
            self._changed.notify_all()
        while threads := self._alive():
            left = None if until is None else max(until - time.monotonic(), 0.0)
            threads[0].join(left)
            if left == 0.0:
                return not self._alive()
        return True

    def statistics(self) -> DispatcherStatistics:
        """Return the state and the counts."""
        with self._changed:
            return DispatcherStatistics(
                state=self._state.value,
                sending=self._limit.used,
                delivered=self._steps[Delivered],
                retried=self._steps[Retry],
                gave_up=self._steps[GaveUp],
                disabled=self._steps[Disabled],
            )

    def _alive(self) -> list[threading.Thread]:
        with self._changed:
            return [thread for thread in self._threads if thread.is_alive()]

    def _start_thread(self, run: Callable[..., None], args: tuple[object, ...], name: str) -> None:
        """Start a thread: an attempt that the end of the process cuts off has its lease."""
        thread = BackgroundThread(name, run, *args)
        self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._threads.discard(thread)
            raise

    # In the coordinator's thread.

    def _coordinate(self) -> None:
        while True:
            with self._changed:
                if self._state is _State.STOPPING:
                    break
                # Before reading: a callback that comes later wakes it again.
                self._is_woken = False
            pause = self._poll_outbox()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_woken or self._state is _State.STOPPING, pause
                )
        with self._changed:
            self._threads.discard(threading.current_thread())

    def _poll_outbox(self) -> float:
        """Dispatch due callbacks; return the seconds until the next poll."""
        try:
            if not self._dispatch_due():
                return _POLL_INTERVAL
            due = self._outbox.next_due()
        except Exception:
            logger.exception(
                "The outbox cannot be used. The next attempt is in %g seconds.", _POLL_INTERVAL
            )
            return _POLL_INTERVAL
        return _POLL_INTERVAL if due is None else min(max(due - self._clock(), 0.0), _POLL_INTERVAL)

    def _dispatch_due(self) -> bool:
        """Start the due deliveries that have a slot; return whether all were started."""
        last: DueDelivery | None = None
        is_all = True
        for _ in range(_PAGES):
            page = self._outbox.due(self._clock(), _PAGE, last)
            if not page:
                return is_all
            with self._changed:
                if self._state is _State.STOPPING:
                    return False
                chosen = [found for found in page if self._limit.take(found.url)]
                has_room = self._limit.has_room
            self._start_deliveries(chosen)
            is_all = is_all and len(chosen) == len(page)
            last = page[-1]
            if not has_room:
                return False
        return False

    def _start_deliveries(self, chosen: list[DueDelivery]) -> None:
        """Claim the chosen callbacks and start a thread for each; give back unused slots."""
        unused = {found.id: found.url for found in chosen}
        try:
            now = self._clock()
            until = now + 2 * self._settings.timeout + _LEASE_MARGIN
            ids = list(unused)
            for delivery in self._outbox.claim(ids, self._owner, now, until) if ids else ():
                del unused[delivery.id]
                self._start_delivery(delivery)
        finally:
            with self._changed:
                for url in unused.values():
                    self._limit.give_back(url)

    def _start_delivery(self, delivery: Delivery) -> None:
        """Start a thread for an attempt; without one, make the attempt here.

        One after the other is slower, but no callback waits for its lease to end.
        """
        try:
            with self._changed:
                self._start_thread(self._deliver, (delivery,), f"dewar-webhook-{delivery.id}")
        except (RuntimeError, MemoryError):
            self._deliver(delivery)
            with self._changed:
                self._threads.add(threading.current_thread())

    # In a delivering thread.

    def _deliver(self, delivery: Delivery) -> None:
        try:
            answer = self._post(delivery.url, delivery.id, delivery.body, self._clock())
            now = self._clock()
            step = next_step(answer, delivery.attempts, now, self._settings.schedule, random.random)
            if self._outbox.record(delivery, step, answer, now):
                self._note_step(delivery, step, answer)
        except Exception:
            logger.exception(
                "The callback %s is tried again after its lease.",
                delivery.id,
            )
        finally:
            with self._changed:
                self._limit.give_back(delivery.url)
                self._threads.discard(threading.current_thread())
                self._is_woken = True
                self._changed.notify_all()

    def _note_step(self, delivery: Delivery, step: Step, answer: DeliveryResult) -> None:
        with self._changed:
            self._steps[type(step)] += 1
        # Do not log the URL: it may have a secret of the receiver in it.
        if isinstance(step, GaveUp):
            logger.warning(
                "The callback %s of job %s has failed %d times and is given up. The last error: %s",
                delivery.id,
                delivery.job_id,
                delivery.attempts,
                answer.error,
            )
        elif isinstance(step, Disabled):
            logger.warning(
                "The receiver of callback %s of job %s has disabled its URL (410).",
                delivery.id,
                delivery.job_id,
            )

    def __repr__(self) -> str:
        return f"<WebhookDispatcher {self._state.value}, {self._limit!r}, {self._outbox!r}>"

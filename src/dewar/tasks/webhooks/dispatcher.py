"""`WebhookDispatcher`: the threads that make a process's callbacks.

Who does what:

- The **coordinator** is one thread. It alone looks into the outbox, claims what is due and has a
  slot, and starts a thread for each; then it waits for the next due date, for a wake-up, or for a
  slot. What it cannot foresee, the callbacks of a process that died, it looks for now and then.
- A **delivering thread** makes one attempt, records it, gives its slot back and ends. It may hang
  as long as a receiver makes it, and has only its own slot to hang in.
- `_changed` guards the state, the slots and the threads. It is never held during I/O.

Nothing is started before `start`. A process that was forked has no threads; it begins anew with
its own `start`. A process that dies leaves what it had claimed to whoever finds it when the lease
has run out: a callback may come twice, with the same ``webhook-id``.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dewar.tasks.webhooks.concurrency import ConcurrencyLimit
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

#: As `WebhookClient.post`.
PostWebhook = Callable[[str, str, str, float], DeliveryResult]

#: How often to look for what other processes left behind, in seconds.
_POLL_INTERVAL = 5.0
#: Candidates that are read at once, and how many such pages to look through for hosts with room.
_PAGE = 200
_PAGES = 25
#: A lease is longer than an attempt can be: twice its timeout, and time to resolve and record.
_LEASE_MARGIN = 60.0


class DispatcherOutbox(Protocol):
    """What the dispatcher asks of an `Outbox`."""

    def due(self, now: float, limit: int, after: DueDelivery | None = None) -> list[DueDelivery]:
        """Return what is due, the oldest first."""

    def claim(self, ids: list[str], owner: str, now: float, until: float) -> list[Delivery]:
        """Take those that are still due."""

    def record(self, delivery: Delivery, step: Step, answer: DeliveryResult, now: float) -> bool:
        """Write down how an attempt went."""

    def next_due(self) -> float | None:
        """Return when the next is due."""


class _State(Enum):
    NEW = "new"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatcherStatistics:
    """What the dispatcher did in this process."""

    state: str
    #: On their way now.
    sending: int
    delivered: int
    #: Attempts that are made again later.
    retried: int
    gave_up: int
    disabled: int


class WebhookDispatcher:
    """Makes the callbacks that are due.

    Args:
        outbox: Where they are.
        post: Makes one attempt.
        settings: How many at once, and when again.
        owner: Names this process to the others.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        outbox: DispatcherOutbox,
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
        """Begin, if it has not begun in this process."""
        if self._pid != os.getpid():
            # The threads stayed with the parent, and one of them may have had the lock.
            self._begin_anew()
        with self._changed:
            if self._state is not _State.NEW:
                return
            self._state = _State.RUNNING
            self._start_thread(self._coordinate, (), "dewar-webhooks")

    def wake(self) -> None:
        """Say that there may be something in the outbox that is due."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def stop(self, timeout: float | None = None) -> bool:
        """Claim nothing more, and wait for what is on its way; return whether all has ended.

        What has not is made again by another process once its lease has run out.

        Args:
            timeout: In seconds; None for as long as it takes.
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
        """Return how it is doing."""
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
        """Start a thread of ours. It does not keep the process: what it leaves has its lease."""
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except BaseException:
            self._threads.discard(thread)
            raise

    # The coordinator's.

    def _coordinate(self) -> None:
        while True:
            with self._changed:
                if self._state is _State.STOPPING:
                    break
                # Before the look: what is put in after it wakes again.
                self._is_woken = False
            pause = self._poll_outbox()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_woken or self._state is _State.STOPPING, pause
                )
        with self._changed:
            self._threads.discard(threading.current_thread())

    def _poll_outbox(self) -> float:
        """Send what is due and has a slot; return for how long there is nothing else to do."""
        try:
            if not self._dispatch_due():
                return _POLL_INTERVAL
            due = self._outbox.next_due()
        except Exception:
            logger.exception(
                "The outbox cannot be used; trying again in %g seconds.", _POLL_INTERVAL
            )
            return _POLL_INTERVAL
        return _POLL_INTERVAL if due is None else min(max(due - self._clock(), 0.0), _POLL_INTERVAL)

    def _dispatch_due(self) -> bool:
        """Start the deliveries that are due; return whether all are started."""
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
        """Claim what has a slot, and start a thread for each; give back what is not used."""
        unused = {found.id: found.url for found in chosen}
        try:
            now = self._clock()
            until = now + 2 * self._settings.timeout + _LEASE_MARGIN
            ids = list(unused)
            for delivery in self._outbox.claim(ids, self._owner, now, until) if ids else ():
                with self._changed:
                    name = f"dewar-webhook-{delivery.id}"
                    self._start_thread(self._deliver, (delivery,), name)
                del unused[delivery.id]
        finally:
            with self._changed:
                for url in unused.values():
                    self._limit.give_back(url)

    # A delivering thread's.

    def _deliver(self, delivery: Delivery) -> None:
        try:
            answer = self._post(delivery.url, delivery.id, delivery.body, self._clock())
            now = self._clock()
            step = next_step(answer, delivery.attempts, now, self._settings.schedule, random.random)
            if self._outbox.record(delivery, step, answer, now):
                self._note_step(delivery, step, answer)
        except Exception:
            logger.exception("The callback %s is tried again after its lease.", delivery.id)
        finally:
            with self._changed:
                self._limit.give_back(delivery.url)
                self._threads.discard(threading.current_thread())
                self._is_woken = True
                self._changed.notify_all()

    def _note_step(self, delivery: Delivery, step: Step, answer: DeliveryResult) -> None:
        with self._changed:
            self._steps[type(step)] += 1
        # No URL: it may hold a secret of the receiver's.
        if isinstance(step, GaveUp):
            logger.warning(
                "The callback %s of job %s has failed %d times, for the last time with %s.",
                delivery.id,
                delivery.job_id,
                delivery.attempts,
                answer.error,
            )
        elif isinstance(step, Disabled):
            logger.warning(
                "The receiver of callback %s, job %s, wants nothing more (410).",
                delivery.id,
                delivery.job_id,
            )

    def __repr__(self) -> str:
        return f"<WebhookDispatcher {self._state.value}, {self._limit!r}, {self._outbox!r}>"

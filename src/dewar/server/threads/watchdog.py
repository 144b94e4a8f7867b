"""The thread that notices a leader who does not come back.

It asks one question about every millisecond: is the leader in the very request it was in the
last time? If so, it replaces the leader. One that leads on the event loop's thread is replaced
where it has not looked at the clients for some time: the loop is idle, or a coroutine blocks it.
While nothing happens for a while it sleeps on a lock, and the leader wakes it before the next
request; so an idle server costs nothing.
"""

import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

_TICK = 0.001
# Ticks without a request after which it goes to sleep: long enough that a busy server's gaps do
# not wake it over and over.
_SLEEP_AFTER = 100
# Ticks without a look at the clients after which a leader on the event loop's thread is idle, or
# blocked by a coroutine.
_LOOP_IDLE_TICKS = 20


class WatchedPool(Protocol):
    """What the watchdog needs of the pool."""

    @property
    def run_count(self) -> int:
        """The number of the leader's latest run."""

    def is_running(self) -> bool:
        """Return whether the leader is inside a run."""

    def leads_on_loop(self) -> bool:
        """Return whether the event loop's thread leads."""

    def take_over(self) -> None:
        """Give the leadership to another thread, unless the leader comes back first."""

    def note_quick(self, runs: int) -> None:
        """Note that the leader got through *runs* in a tick."""


class Watchdog:
    """Watches one pool.

    Attributes:
        is_asleep: Whether it must be woken before it sees anything. Written by its own thread
            and read by the leader: the watchdog sets it and then looks at the pool once more,
            the leader enters its run and then looks here. So one of the two sees the other.
    """

    def __init__(self, pool: WatchedPool, wait: Callable[[float], None] = time.sleep) -> None:
        self._pool = pool
        self._wait = wait
        self._lock = threading.Lock()
        self._lock.acquire()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=lambda: Context().run(self._watch), name="dewar-watchdog", daemon=True
        )
        self.is_asleep = False

    def __repr__(self) -> str:
        return f"<Watchdog {'asleep' if self.is_asleep else 'awake'}>"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End its sleep. Called by the leader, where `is_asleep` is set."""
        self.is_asleep = False
        try:
            self._lock.release()
        except RuntimeError:
            return  # two have seen it asleep, and the other one was first

    def wake_if_asleep(self) -> None:
        """End its sleep, if it sleeps."""
        if self.is_asleep:
            self.wake()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        pool = self._pool
        last, quiet = pool.run_count, 0
        while not self._stopping.is_set():
            self._wait(_TICK)
            run_count = pool.run_count
            if run_count != last:
                pool.note_quick(run_count - last)
                last, quiet = run_count, 0
            elif pool.is_running():
                pool.take_over()
                quiet = 0
            elif pool.leads_on_loop():
                quiet += 1
                # Again and again: the loop may be about to end a round, or no thread be free.
                if quiet >= _LOOP_IDLE_TICKS:
                    pool.take_over()
            elif quiet < _SLEEP_AFTER:
                quiet += 1
            else:
                self._sleep()
                quiet = 0

    def _sleep(self) -> None:
        self.is_asleep = True
        pool = self._pool
        if pool.is_running() or pool.leads_on_loop() or self._stopping.is_set():
            self.is_asleep = False
            return
        self._lock.acquire()
        self.is_asleep = False

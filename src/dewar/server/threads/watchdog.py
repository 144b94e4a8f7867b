"""The thread that replaces a leader that does not come back.

About every millisecond it checks whether the leader is still in the run of the last check. If so,
it replaces the leader. A leader on the event loop's thread is replaced if it has not looked at the
clients for some time: the loop is idle, or a coroutine blocks it. If nothing happens for a while,
the watchdog sleeps on a lock, and the leader wakes it before the next run. So it costs an idle
server nothing.
"""

import threading
import time
from collections.abc import Callable

from dewar.server.threads.leadership import Leadership
from dewar.support.background_thread import BackgroundThread

_TICK = 0.001
# Ticks without a run before it sleeps: enough that the gaps of a busy server do not wake it over
# and over.
_SLEEP_AFTER = 100
# Ticks without a look at the clients after which a loop that leads counts as idle or blocked.
_LOOP_IDLE_TICKS = 20


class Watchdog:
    """Watches the leader of one pool.

    Args:
        leadership: The leadership of the pool.
        wait: Waits for some seconds.

    Attributes:
        is_asleep: Whether the leader must wake it. Written by the watchdog's thread and read by
            the leader: the watchdog sets it and then looks at the leadership once more, the leader
            enters its run and then looks here. So one of the two sees the other.
    """

    def __init__(self, leadership: Leadership, wait: Callable[[float], None] = time.sleep) -> None:
        self._leadership = leadership
        self._wait = wait
        self._lock = threading.Lock()
        self._lock.acquire()
        self._stopping = threading.Event()
        self._thread = BackgroundThread("dewar-watchdog", self._watch)
        self.is_asleep = False

    def __repr__(self) -> str:
        return f"<Watchdog {'asleep' if self.is_asleep else 'awake'}>"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End its sleep. The leader calls this if `is_asleep` is set."""
        self.is_asleep = False
        try:
            self._lock.release()
        except RuntimeError:
            return  # another thread has woken it already

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
        leadership = self._leadership
        last, quiet = leadership.run_count, 0
        while not self._stopping.is_set():
            self._wait(_TICK)
            run_count = leadership.run_count
            if run_count != last:
                leadership.latency.note_quick(run_count - last)
                last, quiet = run_count, 0
            elif leadership.is_running():
                leadership.take_over()
                quiet = 0
            elif leadership.is_on_loop:
                quiet += 1
                # At each tick: the loop may be inside a round, or no thread be free.
                if quiet >= _LOOP_IDLE_TICKS:
                    leadership.take_over()
            elif quiet < _SLEEP_AFTER:
                quiet += 1
            else:
                self._sleep()
                quiet = 0

    def _sleep(self) -> None:
        self.is_asleep = True
        leadership = self._leadership
        if leadership.is_running() or leadership.is_on_loop or self._stopping.is_set():
            self.is_asleep = False
            return
        self._lock.acquire()
        self.is_asleep = False

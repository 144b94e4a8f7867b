"""Which descriptors are ready: epoll on Linux, `selectors` elsewhere."""

import select
import selectors
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from dewar.support.waker import Waker

READ, WRITE = 1, 4  # EPOLLIN and EPOLLOUT; the portable poller translates
# EPOLLRDHUP: only that the peer has closed its side. The portable poller never reports it.
PEER_CLOSED = 0x2000

# Events per poll at most: all there are, on most servers.
BATCH = 8192
# By how many events the portable poller goes on: at most as many as are handled after a poll.
_STEP = 32


class Poller(Protocol):
    """Level-triggered readiness of descriptors.

    Only the leader calls `poll`. Any thread may call the others, for a descriptor that no other
    thread changes at that time.
    """

    def poll(self, timeout: float, limit: int = BATCH) -> list[tuple[int, int]]:
        """Return ``(descriptor, READ | WRITE)`` pairs; other bits mean trouble with it.

        If more than *limit* are ready, the next polls report the others: each has its turn.
        """

    def register(self, fd: int, interest: int) -> None:
        """Report *fd* from now on."""

    def modify(self, fd: int, interest: int) -> None:
        """Report another interest of *fd*."""

    def unregister(self, fd: int) -> None:
        """Stop reporting *fd*; call it before *fd* is closed, because the number is reused."""

    def maybe_fd(self) -> int | None:
        """Return a descriptor that is readable while `poll` has events, if there is one."""

    def close(self) -> None:
        """Release the system's resources."""


class EpollPoller:
    """The poller on Linux. The kernel does the locking."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        self.close = self._epoll.close

    def __repr__(self) -> str:
        return f"<EpollPoller {'closed' if self._epoll.closed else self._epoll.fileno()}>"

    def poll(self, timeout: float, limit: int = BATCH) -> list[tuple[int, int]]:
        """See `Poller`."""
        return self._epoll.poll(timeout, limit)

    def maybe_fd(self) -> int | None:
        """See `Poller`."""
        return self._epoll.fileno()


class SelectorPoller:
    """The poller on other systems.

    A selector must not be changed while another thread is inside it. So changes wait in a queue,
    and the leader is woken to apply them.

    Args:
        wake: Makes a waiting `poll` return.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._changes: deque[tuple[int, int]] = deque()
        self._wake = wake
        # A selector reports in the same order each time. epoll puts last what it has reported.
        self._firsts = count(step=_STEP)

    def __repr__(self) -> str:
        return f"<SelectorPoller {type(self._selector).__name__}>"

    def poll(self, timeout: float, limit: int = BATCH) -> list[tuple[int, int]]:
        """See `Poller`."""
        while self._changes:
            self._apply(*self._changes.popleft())
        ready = [(key.fd, _interest_of(mask)) for key, mask in self._selector.select(timeout)]
        first = next(self._firsts) % max(1, len(ready))
        return (ready[first:] + ready[:first])[:limit]

    def register(self, fd: int, interest: int) -> None:
        """See `Poller`."""
        self._changes.append((fd, interest))
        self._wake()

    modify = register

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        self.register(fd, 0)

    def maybe_fd(self) -> int | None:
        """See `Poller`; none, because changes in the queue would not make it readable."""
        return None

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()

    def _apply(self, fd: int, interest: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        if interest == READ:
            self._selector.register(fd, selectors.EVENT_READ)
        elif interest == WRITE:
            self._selector.register(fd, selectors.EVENT_WRITE)


def _interest_of(mask: int) -> int:
    """Return *mask*, which is in the terms of `selectors`, in those of the poller."""
    interest = READ if mask & selectors.EVENT_READ else 0
    return interest | WRITE if mask & selectors.EVENT_WRITE else interest


def open_poller(waker: Waker) -> Poller:
    """Return the best poller of this system, which watches *waker*; close it after use."""
    poller: Poller
    poller = EpollPoller() if hasattr(select, "epoll") else SelectorPoller(waker.wake)
    poller.register(waker.fd, READ)
    return poller

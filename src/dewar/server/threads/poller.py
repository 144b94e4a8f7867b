"""Which descriptors have something to do: epoll where there is one, `selectors` elsewhere."""

import select
import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

READ, WRITE = 1, 4  # EPOLLIN and EPOLLOUT; the portable poller translates
# EPOLLRDHUP: only that the peer has closed its side. The portable poller cannot tell, and doesn't.
PEER_CLOSED = 0x2000

# Events taken at a time: all there are, so that the leader can see who should go first.
_BATCH = 8192


class Poller(Protocol):
    """Level-triggered readiness of descriptors.

    `poll` is the leader's. The others may be called from any thread, for a descriptor that
    nobody else changes at that time.
    """

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Return ``(descriptor, READ | WRITE)`` pairs; other bits mean trouble with it."""

    def register(self, fd: int, interest: int) -> None:
        """Begin to report *fd*."""

    def modify(self, fd: int, interest: int) -> None:
        """Report something else of *fd*."""

    def unregister(self, fd: int) -> None:
        """Stop reporting *fd*; do so before it is closed, for its number will be used again."""

    def maybe_fd(self) -> int | None:
        """Return what is readable while `poll` has something to tell, if there is such a thing."""

    def close(self) -> None:
        """Give the system's resources back."""


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

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller`."""
        return self._epoll.poll(timeout, _BATCH)

    def maybe_fd(self) -> int | None:
        """See `Poller`."""
        return self._epoll.fileno()


class SelectorPoller:
    """The poller elsewhere.

    A selector may not be changed while another thread is inside it, so that changes wait in a
    queue for the leader, who is woken for them.

    Args:
        wake: Makes a `poll` that waits return.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._changes: deque[tuple[int, int]] = deque()
        self._wake = wake

    def __repr__(self) -> str:
        return f"<SelectorPoller {type(self._selector).__name__}>"

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller`."""
        while self._changes:
            self._apply(*self._changes.popleft())
        return [(key.fd, _interest_of(mask)) for key, mask in self._selector.select(timeout)]

    def register(self, fd: int, interest: int) -> None:
        """See `Poller`."""
        self._changes.append((fd, interest))
        self._wake()

    modify = register

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        self.register(fd, 0)

    def maybe_fd(self) -> int | None:
        """See `Poller`; changes that wait in the queue would not make one readable."""
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
    """Return what `selectors` found in the pool's terms."""
    interest = READ if mask & selectors.EVENT_READ else 0
    return interest | WRITE if mask & selectors.EVENT_WRITE else interest


class Waker:
    """A descriptor that becomes readable when somebody calls `wake`, from any thread."""

    def __init__(self) -> None:
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)
        self.fd = self._inner.fileno()

    def __repr__(self) -> str:
        return f"<Waker {self.fd}>"

    def wake(self) -> None:
        """Make the descriptor readable."""
        try:
            self._outer.send(b"\0")
        except BlockingIOError:
            return  # full of wake-up calls: one more says nothing new

    def clear(self) -> None:
        """Make it unreadable again."""
        try:
            self._inner.recv(4096)
        except BlockingIOError:
            return  # settled by an earlier event of the same batch

    def close(self) -> None:
        """Close both ends."""
        self._inner.close()
        self._outer.close()


def open_poller(waker: Waker) -> Poller:
    """Return the best poller that this system has, with *waker* watched; close it."""
    poller: Poller
    poller = EpollPoller() if hasattr(select, "epoll") else SelectorPoller(waker.wake)
    poller.register(waker.fd, READ)
    return poller

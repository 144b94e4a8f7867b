"""`ConcurrencyLimit`: limits the callbacks that are being sent, in total and to each host."""

from urllib.parse import urlsplit


class ConcurrencyLimit:
    """Counts the callbacks that are being sent. The caller holds a lock.

    Args:
        limit: The most callbacks at once.
        per_host: The most callbacks to one host at once.
    """

    def __init__(self, limit: int, per_host: int) -> None:
        self._limit = limit
        self._per_host = per_host
        self._by_host: dict[str, int] = {}
        self.used = 0

    @property
    def has_room(self) -> bool:
        """Whether one more callback may be sent to some host."""
        return self.used < self._limit

    def take(self, url: str) -> bool:
        """Take a slot for a URL; return whether one was free."""
        host = _host_of(url)
        count = self._by_host.get(host, 0)
        if not self.has_room or count >= self._per_host:
            return False
        self._by_host[host] = count + 1
        self.used += 1
        return True

    def give_back(self, url: str) -> None:
        """Give back the slot of a URL."""
        host = _host_of(url)
        self.used -= 1
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]

    def __repr__(self) -> str:
        return f"<ConcurrencyLimit {self.used} of {self._limit}, for {len(self._by_host)} hosts>"


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.lower()

"""`Stock`: what both apps know. It is theirs because both were given it."""

import threading


class Stock:
    """Prices in cents, by article.

    Args:
        prices: The first ones.
    """

    def __init__(self, prices: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self._prices = dict(prices)

    def prices(self) -> dict[str, int]:
        """Return all prices as they are now."""
        with self._lock:
            return dict(self._prices)

    def change(self, article: str, price: int) -> None:
        """Set a price."""
        with self._lock:
            self._prices[article] = price

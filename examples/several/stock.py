"""`Stock`: the data that both apps share."""

import threading


class Stock:
    """Prices in cents, by article.

    Args:
        prices: The initial prices.
    """

    def __init__(self, prices: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self._prices = dict(prices)

    def prices(self) -> dict[str, int]:
        """Return a copy of all prices."""
        with self._lock:
            return dict(self._prices)

    def change(self, article: str, price: int) -> None:
        """Set the price of an article."""
        with self._lock:
            self._prices[article] = price

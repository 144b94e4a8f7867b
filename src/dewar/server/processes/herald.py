"""Who is told how the supervisor is: whoever waits for it to be ready."""

from typing import Protocol


class Herald(Protocol):
    """What a supervisor tells the outside."""

    @property
    def interval(self) -> float | None:
        """Seconds between two calls of `beat`; None where nobody asks for any."""

    def ready(self, status: str) -> None:
        """All workers serve, after the start or after a reload."""

    def reloading(self) -> None:
        """A reload has begun."""

    def stopping(self) -> None:
        """The end has begun."""

    def status(self, text: str) -> None:
        """Something has changed."""

    def beat(self) -> None:
        """All is well."""

    def failed(self, reason: str) -> None:
        """The first start has failed."""

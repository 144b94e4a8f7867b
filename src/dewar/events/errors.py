"""What can be wrong with an event, and with what yields events."""

from dewar.errors import DewarError


class EventError(DewarError, ValueError):
    """Raised for an event that no client would get as it was meant."""


class EventSourceError(DewarError, TypeError):
    """Raised for a source that yields no events."""

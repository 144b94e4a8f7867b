"""The errors of events and their sources."""

from dewar.errors import DewarError


class EventError(DewarError, ValueError):
    """Raised for an event that clients would drop or change."""


class EventSourceError(DewarError, TypeError):
    """Raised for a source that yields no events."""

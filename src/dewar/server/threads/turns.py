"""Whose turn it is where many clients want something at once."""

from collections.abc import Mapping

from dewar.server.connection.connection import Connection

# More than these are looked at twice. Fewer are done before anybody has waited for long.
MANY = 64
# Requests of new clients that are taken on between two looks at the others.
_FRESH = 32

Events = list[tuple[int, int]]


def by_turn(events: Events, connections: Mapping[int, Connection]) -> Events:
    """Return the events that have their turn, those of clients that were served before first.

    So a flood of new clients does not hold up the others: of the new ones' first requests some
    have their turn, and the rest is told again at the next look.

    Args:
        events: As the poller has them.
        connections: The open ones by descriptor. Others, such as a listener, come last.
    """
    known: Events = []
    fresh: Events = []
    others: Events = []
    for event in events:
        connection = connections.get(event[0])
        if connection is None:
            others.append(event)
        elif connection.served:
            known.append(event)
        else:
            fresh.append(event)
    return known + fresh[:_FRESH] + others

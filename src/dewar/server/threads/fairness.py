"""Whose turn it is where many clients want something at once."""

from collections.abc import Mapping
from heapq import nlargest

from dewar.server.connection.connection import Connection

# More than these are looked at twice. Fewer are done before anybody has waited for long.
FAIRNESS_THRESHOLD = 64
# How many have their turn between two looks at the others: of the clients that ask most often, of
# the others that were served before, and of new ones.
_BUSY = 32
_KNOWN = 128
_FRESH = 32

Events = list[tuple[int, int]]


def select_fairly(events: Events, connections: Mapping[int, Connection]) -> Events:
    """Return the events that have their turn; the rest is told again at the next look.

    Clients that were served before go before new ones, and first of all some of those that ask
    most often. So a flood of requests does not hold up a client that asks for one thing after the
    other. Of each kind some have their turn, whatever the others do.

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
    if len(known) > FAIRNESS_THRESHOLD:
        busy = nlargest(_BUSY, known, key=lambda event: connections[event[0]].served)
        chosen = set(busy)
        known = [*busy, *(event for event in known if event not in chosen)][: _BUSY + _KNOWN]
    return known + fresh[:_FRESH] + others

"""The stages of a request, and to which of them a sample belongs."""

from collections import Counter

from bench.flame.stacks import Stack

WAIT, LEAD, RECEIVE, PARSE = "wait for clients", "lead", "receive", "parse"
EXCHANGE, CONTEXT, ROUTE, STEPS = "exchange", "context", "route", "steps"
REQUEST, SESSION, VIEW, RESPONSE = "request", "session", "view", "response"
COMPOSE, SEND, OTHER = "compose", "send", "other"
#: What happens in each stage, in the order in which a request reaches them.
STAGES = {
    WAIT: "the poll, which is a system call",
    LEAD: "what the leader does around a request: the token, the deadlines, the table",
    RECEIVE: "`recv`, which is a system call, and the state of the connection",
    PARSE: "head and body, by the rules of RFC 9112",
    EXCHANGE: "the environ, `start_response`, the end of the request",
    CONTEXT: "the app's context, `contextvars`, the proxies",
    ROUTE: "the route index and the converters",
    STEPS: "the lane: hooks, the call of the view, its return value, teardown",
    REQUEST: "the request object and what the view reads of it",
    SESSION: "opening, signing and saving the session",
    VIEW: "the view's own lines",
    RESPONSE: "the `Response`, where one is needed",
    COMPOSE: "the head of the response, and how the body is framed",
    SEND: "`send`, which is a system call",
    OTHER: "the standard library, for callers that have no stage",
}
#: The beginning of a frame's file, and its stage; the first that fits counts.
_FILES = (
    ("dewar/server/threads/poller", WAIT),
    ("dewar/server/threads/", LEAD),
    ("dewar/server/connection/transport", SEND),
    ("dewar/server/connection/response", COMPOSE),
    ("dewar/server/connection/connection", RECEIVE),
    ("dewar/server/connection/base_connection", RECEIVE),
    ("dewar/server/connection/readiness", RECEIVE),
    ("dewar/server/connection/", EXCHANGE),
    ("dewar/server/wire/writer", COMPOSE),
    ("dewar/server/wire/", PARSE),
    ("dewar/contexts/", CONTEXT),
    ("dewar/isolation/", CONTEXT),
    ("dewar/routing/", ROUTE),
    ("werkzeug/routing/", ROUTE),
    ("dewar/sessions/", SESSION),
    ("itsdangerous/", SESSION),
    ("hmac", SESSION),
    ("dewar/messages/response", RESPONSE),
    ("werkzeug/wrappers/response", RESPONSE),
    ("werkzeug/sansio/response", RESPONSE),
    ("dewar/messages/", REQUEST),
    ("werkzeug/wrappers/", REQUEST),
    ("werkzeug/sansio/", REQUEST),
    ("werkzeug/formparser", REQUEST),
    ("bench/counters/apps", VIEW),
    ("bench/apps/", VIEW),
    ("dewar/", STEPS),
)


def stage_of(stack: Stack) -> str:
    """Return the stage of the innermost frame that has one.

    Werkzeug's data structures and the standard library have none: they work for their caller.
    """
    for frame in reversed(stack):
        if (stage := stage_of_frame(frame)) is not None:
            return stage
    return OTHER


def stage_of_frame(frame: str) -> str | None:
    """Return the stage of a frame, if it has one."""
    file = frame.rpartition(" (")[2]
    return next((stage for start, stage in _FILES if file.startswith(start)), None)


def shares(stacks: Counter[Stack]) -> dict[str, float]:
    """Return the share of each stage."""
    counts: Counter[str] = Counter()
    for stack, count in stacks.items():
        counts[stage_of(stack)] += count
    return {stage: counts[stage] / counts.total() for stage in STAGES}

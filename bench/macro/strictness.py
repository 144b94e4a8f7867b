"""The strictness group: every server gets the corpus of raw requests, over real sockets.

Everything that the RFC allows is right, even if Dewar does something else: to accept a bare LF as
a line end, to refuse a method, to close at any time. A refusal may have any status of 400 and
above, or none. The cases about limits are left out, because each server has different limits.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.server.corpus.case import Case
from tests.server.corpus.corpus import CASES

from bench.contestants import Contestants
from bench.conversation import LAST, PATIENCE, Conversation, Seen, converse, root_or
from bench.macro.rounds import environment
from bench.servers import Contestant, Server, ServerFailedError
from bench.table import Row, failed

GROUP = "raw requests, as RFC 9112 asks (cases right)"
# The number of cases at a time: fewer than a server has threads, so that none has to wait.
AT_A_TIME = 6


class Verdict(Enum):
    """The result of one case on one server."""

    RIGHT = "as the RFC asks"
    WRONG = "not as the RFC asks"
    SMUGGLED = "ends a message in another place than the RFC"


@dataclass(kw_only=True)
class Score:
    """The results of one server, with the bytes sent at once or in two pieces."""

    name: str
    cut: str
    failure: str = ""
    wrong: list[str] = field(default_factory=list)
    smuggled: list[str] = field(default_factory=list)
    count: int = 0


def cases() -> dict[str, Case]:
    """Return the cases that every server gets."""
    return {name: case for name, case in CASES.items() if not case.limited}


def measure(root: Path, contestants: Contestants) -> tuple[list[Row], list[Score]]:
    """Send all cases to all servers, at once and in two pieces."""
    scores = [score for each in contestants.strict() for score in _ask(root, each)]
    return [_row(score) for score in scores], scores


def _ask(root: Path, contestant: Contestant) -> list[Score]:
    scores = [Score(name=contestant.name, cut=cut) for cut in ("whole", "in two")]
    server = Server(contestant=contestant, folder=root, environment=environment(root))
    try:
        with server:
            for pieces, score in enumerate(scores, 1):
                _score(server.port, score, pieces)
    except ServerFailedError as error:
        for score in scores:
            score.failure = str(error)
    return scores


def _score(port: int, score: Score, pieces: int) -> None:
    asked = cases()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        verdicts = pool.map(lambda case: judge(case, _try(port, case, pieces)), asked.values())
        for name, verdict in zip(asked, verdicts, strict=True):
            score.count += 1
            if verdict is not Verdict.RIGHT:
                score.wrong.append(name)
            if verdict is Verdict.SMUGGLED:
                score.smuggled.append(name)


def _try(port: int, case: Case, pieces: int) -> Conversation:
    data = case.data if _is_open(case) else case.data + LAST
    half = len(case.data) // 2
    parts = [data] if pieces == 1 else [data[:half], data[half:]]
    # A server that correctly waits for more bytes sends nothing: a short wait is enough.
    return converse(port, parts, PATIENCE / 3 if _is_open(case) else PATIENCE)


def _is_open(case: Case) -> bool:
    """Return whether the server reads bytes after the case as a part of it."""
    return case.waits or (case.refusal is None and case.data.endswith(b"\r"))


def judge(case: Case, got: Conversation) -> Verdict:
    """Return the verdict on a conversation."""
    right = [_plain(seen) for seen in case.requests]
    if case.refusal is None:
        is_right = _is_served(case, got, right)
        allowed = [right]
    else:
        readings = [[_plain(seen) for seen in requests] for requests in case.may]
        waits = case.may_wait and got.seen == right and not got.went_on
        allowed = [right, *readings]
        refused = any(_is_refused(case, got, reading) for reading in allowed)
        is_right = waits or refused or got.seen in readings
    if is_right:
        return Verdict.RIGHT
    return Verdict.SMUGGLED if case.framing and _has_strayed(case, got, allowed) else Verdict.WRONG


def _has_strayed(case: Case, got: Conversation, allowed: list[list[Seen]]) -> bool:
    """Return whether a request was served that is no request in any reading of the RFC."""
    if case.refusal is not None and got.went_on:
        return True
    known = [seen for reading in allowed for seen in reading]
    strange = [seen for seen in got.seen if seen not in known]
    # A single body that ends too early is harmless if the server closes the connection after it.
    return len(strange) > (1 if got.is_closed and not got.went_on else 0)


def _is_served(case: Case, got: Conversation, right: list[Seen]) -> bool:
    if not _is_begin(got.seen, right):
        return False
    if case.may_refuse and (got.refusals or got.is_closed):
        return True
    if _is_open(case):
        # An incomplete message may be refused, and its connection closed.
        return got.seen == right or got.is_closed
    if got.refusals:
        return False
    if case.closes:
        return got.seen == right and not got.went_on
    # A server may close at any time (RFC 9112 §9.5), and then not serve later requests.
    return (got.seen == right and got.went_on) or (got.is_closed and bool(got.seen or not right))


def _is_refused(case: Case, got: Conversation, right: list[Seen]) -> bool:
    if not _is_begin(got.seen, right) or not _has_ended(got):
        return False
    # If the end of the message is certain, the connection may continue after a refusal.
    return not got.went_on or (not case.framing and bool(got.refusals))


def _has_ended(got: Conversation) -> bool:
    return bool(got.refusals) or got.is_closed


def _is_begin(seen: Sequence[Seen], right: Sequence[Seen]) -> bool:
    return list(seen) == list(right[: len(seen)])


def _plain(seen: tuple[str, str, str, str, bytes]) -> Seen:
    """Remove the raw target, which not every server passes to the application."""
    method, _, path, query, body = seen
    return method, root_or(path), query, body


def _row(score: Score) -> Row:
    what = f"{score.name}, {score.cut}"
    if score.failure:
        return failed(GROUP, what, score.failure)
    right = score.count - len(score.wrong)
    note = f"{len(score.wrong)} failures, {len(score.smuggled)} of the smuggling class"
    return Row(group=GROUP, what=what, figure=right, unit=f"of {score.count}", note=note)

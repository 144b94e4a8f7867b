"""How a conversation is judged: as the RFC allows, for every server alike."""

import pytest
from bench.conversation import LAST, Conversation, converse
from bench.macro.strictness import Verdict, cases, judge
from tests.server.corpus.corpus import CASES

from servertools import Served

RIGHT, WRONG, SMUGGLED = Verdict.RIGHT, Verdict.WRONG, Verdict.SMUGGLED
ROOT = ("GET", "/", "", b"")
POST = ("POST", "/", "", b"")
AFTER = ("GET", "/after", "", b"")
TWO = "RFC 9112 §6.1, §6.3: b'Content-Length: 5\\r\\n' before b'Transfer-Encoding: chunked\\r\\n'"
SIZE = "RFC 9112 §7.1: size b'xyz'"


def talk(
    *seen: tuple[str, str, str, bytes], status: int = 0, went_on: bool = False, closed: bool = False
) -> Conversation:
    refusals = [status] if status else []
    return Conversation(seen=list(seen), refusals=refusals, went_on=went_on, is_closed=closed)


@pytest.mark.parametrize(
    ("name", "got", "verdict"),
    [
        ("RFC 9112 §3: plain", talk(ROOT, went_on=True), RIGHT),
        ("RFC 9112 §3: plain", talk(ROOT, closed=True), RIGHT),
        ("RFC 9112 §3: plain", talk(status=400, closed=True), WRONG),
        ("RFC 9112 §3: plain", talk(), WRONG),
        ("RFC 9110 §9.1: method FOO", talk(status=501, went_on=True), RIGHT),
        ("RFC 9112 §3: space in the target", talk(status=400, closed=True), RIGHT),
        ("RFC 9112 §3: space in the target", talk(closed=True), RIGHT),
        ("RFC 9112 §3: space in the target", talk(ROOT, went_on=True), WRONG),
        ("RFC 9112 §3: space in the target", talk(), WRONG),
        ("RFC 9112 §3: two spaces before the target", talk(ROOT, went_on=True), RIGHT),
        ("RFC 9112 §3.2, RFC 9110 §7.2: none", talk(status=400, went_on=True), RIGHT),
        (TWO, talk(status=400, closed=True), RIGHT),
        (TWO, talk(POST, closed=True), RIGHT),
        (TWO, talk(POST, AFTER, went_on=True), SMUGGLED),
        (TWO, talk(status=400, went_on=True), SMUGGLED),
        (SIZE, talk(POST, closed=True), WRONG),
        (SIZE, talk(POST, went_on=True), SMUGGLED),
        ("RFC 9112 §9.3: 1.0 closes", talk(ROOT, closed=True), RIGHT),
        ("RFC 9112 §9.3: 1.0 closes", talk(ROOT, AFTER, went_on=True), WRONG),
        ("RFC 9112 §9.3.2: half a line", talk(), RIGHT),
        ("RFC 9112 §6.2, RFC 9110 §8.6: length of 2**64", talk(), RIGHT),
    ],
)
def test_a_conversation_is_judged_by_what_the_rfc_allows(
    name: str, got: Conversation, verdict: Verdict
) -> None:
    """Served, refused, closed, waited for, or taken for two messages."""
    assert judge(CASES[name], got) is verdict


def test_cases_about_limits_are_left_out() -> None:
    """Each server has its own."""
    assert 600 < len(cases()) < len(CASES)


def test_a_conversation_tells_what_the_application_saw() -> None:
    """Over a real socket, in two pieces; a refusal ends it."""
    from bench.apps.seen import app

    served = Served(app, None, {})
    try:
        port = served.address[1]
        post = b"POST /a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        got = converse(port, [post, b"1\r\nz\r\n0\r\n\r\n" + LAST])
        assert got == Conversation(seen=[("POST", "/a", "b", b"z")], went_on=True)
        assert converse(port, [b"NONSENSE\r\n\r\n"]) == Conversation(refusals=[400], is_closed=True)
        assert converse(port, [b"GET"], patience=0.05) == Conversation()
    finally:
        served.stop()

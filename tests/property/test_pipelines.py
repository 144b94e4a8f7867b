"""Requests that are sent at once, in any pieces, are answered as if each was sent by itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asynctools import lead_on_loop
from dewar import Dewar, request
from servertools import Client, Served

Answer = tuple[bytes, dict[bytes, bytes], bytes]


def echo(name: str) -> Any:
    """Return what the server has made of a request."""
    if name == "fails":
        raise LookupError(name)
    length = request.headers.get("Content-Length", "none")
    said = f"{request.method} {name} {request.query_string.decode()} {length} "
    return said.encode() + request.get_data(), 200 + len(name) % 3, {"X-Name": name}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    app = Dewar("pipelines", static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    app.add_url_rule("/sync/<name>", "sync", echo, methods=["GET", "POST"])

    @app.route("/async/<name>", methods=["GET", "POST"])
    async def asynchronous(name: str) -> Any:
        return echo(name)

    @app.get("/quick/<name>")
    async def quick(name: str) -> str:
        return name

    served = Served(app, None, {"threads": 3, "buffered_body": 50})
    yield served
    served.stop()


names = st.sampled_from(["a", "bc", "def", "fails", "a%20b"])
fields = st.sampled_from([b"", b"X-Other: 1\r\n", b"Accept: a/b\r\nCookie: c=d\r\n"])
bodies = st.binary(max_size=120)


@st.composite
def messages(draw: st.DrawFn, kind: str) -> bytes:
    """Return a request: plain, with a body of known length, or with one in chunks."""
    lane = draw(st.sampled_from(["sync", "async"])) if kind == "both" else kind
    target = f"/{lane}/{draw(names)}?q={draw(st.integers(0, 3))}".encode()
    head = b"%b HTTP/1.1\r\nHost: x\r\n%b" % (target, draw(fields))
    if draw(st.booleans()):
        return b"GET %b\r\n" % head
    body = draw(bodies)
    if draw(st.booleans()):
        return b"POST %bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return b"POST %bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (head, chunk)


@st.composite
def pipelines(draw: st.DrawFn, kind: str) -> tuple[list[bytes], list[bytes]]:
    """Return messages, and the pieces in which they are sent."""
    sent = draw(st.lists(messages(kind), min_size=1, max_size=12))
    stream = b"".join(sent)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pairs = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    return sent, [stream[start:end] for start, end in pairs]


def read(client: Client) -> Answer:
    status, fields, body = client.answer()
    fields.pop(b"date", None)
    return status, fields, body


def one_by_one(served: Served, sent: list[bytes]) -> list[Answer]:
    client = served.client()
    answers = []
    for message in sent:
        client.send(message)
        answers.append(read(client))
    client.close()
    return answers


def all_at_once(served: Served, pieces: list[bytes], count: int) -> list[Answer]:
    client = served.client()
    for piece in pieces:
        client.send(piece)
    answers = [read(client) for _ in range(count)]
    client.close()
    return answers


@settings(max_examples=80)
@given(pipelines("both"))
def test_threads_and_the_loop_answer_a_pipeline_in_order(
    served: Served, pipeline: tuple[list[bytes], list[bytes]]
) -> None:
    """With views of both kinds in one pipeline."""
    sent, pieces = pipeline
    assert all_at_once(served, pieces, len(sent)) == one_by_one(served, sent)


@settings(max_examples=40)
@given(pipelines("async"))
def test_the_loop_that_leads_answers_a_pipeline_in_order(
    served: Served, pipeline: tuple[list[bytes], list[bytes]]
) -> None:
    """It begins with each request itself."""
    sent, pieces = pipeline
    expected = one_by_one(served, sent)
    lead_on_loop(served).close()
    assert all_at_once(served, pieces, len(sent)) == expected


@settings(max_examples=15)
@given(st.lists(pipelines("both"), min_size=2, max_size=6))
def test_pipelines_of_several_clients_do_not_mix(
    served: Served, found: list[tuple[list[bytes], list[bytes]]]
) -> None:
    """Their requests take turns, and each client has its own answers in order."""
    clients = [served.client() for _ in found]
    for number in range(max(len(pieces) for _, pieces in found)):
        for client, (_, pieces) in zip(clients, found, strict=True):
            client.send(b"".join(pieces[number : number + 1]))
    for client, (sent, _) in zip(clients, found, strict=True):
        assert [read(client) for _ in sent] == one_by_one(served, sent)
        client.close()

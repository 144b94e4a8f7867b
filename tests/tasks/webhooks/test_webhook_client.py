import json
import socket
import ssl
import time
from contextlib import closing, suppress

import pytest

from callbacktools import Receiver, answer
from certificates import Certificates
from dewar import __version__
from dewar.tasks.webhooks import verify
from dewar.tasks.webhooks.client import WebhookClient
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "job.done", "data": {"name": "Jürgen"}}, ensure_ascii=False)
NOW = 1_700_000_000.5


@pytest.fixture
def receive():
    """Make receivers that are closed in the end."""
    made = []

    def make(*behave, **settings):
        made.append(Receiver(*behave, **settings))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


def client(allow=("127.0.0.1",), resolve=socket.getaddrinfo, **settings):
    made = WebhookSettings(**{"secrets": [SECRET], "timeout": 5.0, **settings})
    return WebhookClient(SSRFGuard(allow, resolve), made)


def post(url, **settings):
    return client(**settings).post(url, "msg_1", BODY, NOW)


def test_a_callback_is_posted_as_the_specification_says(receive):
    """The receiver can verify it and read its headers."""
    receiver = receive()
    assert post(receiver.url("/hook?a=b")).status == 204
    (came,) = receiver.wait(1)
    assert (came.method, came.target, came.body) == ("POST", "/hook?a=b", BODY.encode())
    assert verify(came.body, came.headers, SECRET, now=NOW) == json.loads(BODY)
    assert came.headers["webhook-id"] == "msg_1"
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert came.headers["user-agent"] == f"Dewar/{__version__}"
    assert came.headers["content-type"] == "application/json"
    assert "authorization" not in came.headers


def interim(*statuses):
    """Answer with interim responses first, some with fields, and then with 204."""

    def behave(connection, receiver):
        receiver.read(connection)
        for status in statuses:
            connection.sendall(
                f"HTTP/1.1 {status} Wait\r\nLink: </a>; rel=preload\r\n\r\n".encode()
            )
            connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return behave


@pytest.mark.parametrize("statuses", [[100], [102], [103], [199], [103, 100, 102]])
def test_interim_responses_are_skipped(receive, statuses):
    """The status that counts is the final one (RFC 9110, 15.2)."""
    assert post(receive(interim(*statuses)).url()).status == 204


def test_interim_responses_without_end_are_no_answer(receive):
    """The deadline is for all of them together."""

    def behave(connection, receiver):
        receiver.read(connection)
        with suppress(OSError):
            while not receiver.closing.is_set():
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    answered = post(receive(behave).url(), timeout=0.3)
    assert answered.status is None
    assert "no answer in 0.3 seconds" in answered.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receive, status):
    """It is the receiver's way to have something internal called."""
    inside = receive()
    receiver = receive(answer(status, f"Location: {inside.url()}\r\n"))
    found = post(receiver.url())
    assert found.status == status
    assert found.error.startswith(str(status))
    assert inside.connections == 0
    assert receiver.connections == 1


def test_what_a_receiver_says_is_passed_on(receive):
    """Its status, how long to wait, and the beginning of its words, fit for a log."""
    receiver = receive(answer(429, "Retry-After: 7\r\n", b"slow\ndown\x00" + b"x" * 1000))
    found = post(receiver.url())
    assert (found.status, found.retry_after) == (429, "7")
    assert found.error.startswith("429: slow down x")
    assert len(found.error) < 300


def hang(connection, receiver):
    receiver.read(connection)
    receiver.closing.wait()


def never_read(_connection, receiver):
    receiver.closing.wait()


def drip_with(head, piece):
    def drip(connection, receiver):
        receiver.read(connection)
        connection.sendall(head)
        while not receiver.closing.wait(0.05):
            connection.sendall(piece)

    return drip


@pytest.mark.parametrize(
    "behave",
    [
        hang,
        drip_with(b"", b"H"),
        drip_with(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        drip_with(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip_with(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["hangs", "status", "header", "headers", "interim"],
)
def test_an_attempt_ends_when_its_time_is_over(receive, behave):
    """Even if the receiver sends byte by byte."""
    receiver = receive(behave)
    began = time.monotonic()
    found = post(receiver.url(), timeout=0.4)
    assert found.status is None
    assert found.error is not None
    assert time.monotonic() - began < 3.0


def test_a_receiver_that_never_reads_does_not_hold_it(receive):
    """Not with a body larger than all buffers between them."""
    receiver = receive(never_read)
    began = time.monotonic()
    found = client(timeout=0.4).post(receiver.url(), "msg_1", "x" * 20_000_000, NOW)
    assert (found.status, found.error) == (None, "no answer in 0.4 seconds")
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("status", [200, 500])
def test_a_body_that_drips_does_not_hold_it(receive, status):
    """The head of the answer has already decided."""
    head = f"HTTP/1.1 {status} Word\r\nContent-Length: 999999\r\n\r\n".encode()
    receiver = receive(drip_with(head, b"x"))
    began = time.monotonic()
    assert post(receiver.url(), timeout=30.0).status == status
    assert time.monotonic() - began < 5.0


def test_a_huge_body_is_not_read(receive):
    """Some of it is enough."""
    sent = []

    def pour(connection, receiver):
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        while not receiver.closing.is_set():
            sent.append(connection.send(b"x" * 65536))

    receiver = receive(pour)
    assert post(receiver.url()).status == 200
    receiver.close()
    assert sum(sent) < 30_000_000


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"\x00" * 100,
    ],
    ids=["closes", "ssh", "status", "half", "long", "many", "zeros"],
)
def test_what_is_no_answer_is_a_failure(receive, said):
    """With a text that says so, and no exception."""

    def say(connection, receiver):
        receiver.read(connection)
        connection.sendall(said)

    found = post(receive(say).url())
    assert found.status is None
    assert found.error
    assert found.error.isprintable()


def test_nobody_listens():
    """That is a failure too."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error.startswith("ConnectionRefusedError")


def test_a_name_that_is_unknown_is_a_failure():
    """It may be known at the next attempt."""

    def resolve(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    assert "Name or service not known" in post("http://no.test/", resolve=resolve).error


def test_an_internal_address_is_not_connected_to(receive):
    """Without being allowed."""
    receiver = receive()
    assert post(receiver.url(), allow=()).error.startswith("refused: ")
    assert receiver.connections == 0


def resolving_to(*rounds):
    """A resolver that gives another answer each time it is asked."""
    answers = list(rounds)

    def resolve(_host, port, type):  # noqa: A002
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in addresses]

    return resolve


def test_a_name_that_moves_is_not_followed(receive):
    """The name is not resolved a second time, when it would be 127.0.0.1 (DNS rebinding)."""
    inside = receive()
    outside = receive()
    # Both are on this machine; what is allowed stands for the public internet.
    resolve = resolving_to(["127.0.0.2"], ["127.0.0.1"])
    found = post(
        f"http://hooks.test:{inside.port}/", allow=["127.0.0.2"], resolve=resolve, timeout=2.0
    )
    assert found.status is None
    assert found.error.startswith("ConnectionRefusedError")  # at 127.0.0.2, where nobody is
    assert inside.connections == 0
    # The next attempt asks anew, and is refused.
    found = post(f"http://hooks.test:{inside.port}/", allow=["127.0.0.2"], resolve=resolve)
    assert found.error.startswith("refused: ")
    assert inside.connections == 0
    assert post(outside.url()).status == 204


def test_a_name_is_asked_for_by_its_name(receive):
    """The connection goes to the address, and the receiver hears the name."""
    receiver = receive()
    resolve = resolving_to(["127.0.0.1"])
    assert post(f"http://hooks.test:{receiver.port}/", resolve=resolve).status == 204
    assert receiver.wait(1)[0].headers["host"] == f"hooks.test:{receiver.port}"


def test_another_address_is_tried(receive):
    """If the first address does not answer."""
    receiver = receive()
    resolve = resolving_to(["127.0.0.9", "127.0.0.1"])
    found = post(f"http://hooks.test:{receiver.port}/", allow=["127.0.0.0/8"], resolve=resolve)
    assert found.status == 204


def test_no_proxy_of_the_environment_is_used(receive, monkeypatch):
    """A proxy would resolve and connect by itself."""
    proxy = receive()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())
    receiver = receive()
    assert post(receiver.url()).status == 204
    assert proxy.connections == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and what it has signed."""
    return Certificates(tmp_path_factory.mktemp("callbacks"))


def test_tls_is_checked_against_the_name(receive, certificates):
    """The address that was resolved plays no part in it."""
    heard = []
    context = certificates.server("other")
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    receiver = receive(context=context)
    given = {"resolve": resolving_to(["127.0.0.1"]), "ca_file": certificates.path("ca.pem")}
    assert post(f"https://other.test:{receiver.port}/", **given).status == 204
    assert heard == ["other.test"]
    found = post(f"https://wrong.test:{receiver.port}/", **given)
    assert found.status is None
    assert found.error.startswith("certificate: Hostname mismatch")
    assert len(receiver.requests) == 1


def test_tls_to_an_address_is_checked_against_it(receive, certificates):
    """A certificate may be for one."""
    right = receive(context=certificates.server("server"))
    wrong = receive(context=certificates.server("other"))
    ca_file = certificates.path("ca.pem")
    assert post(right.url(), ca_file=ca_file).status == 204
    assert post(wrong.url(), ca_file=ca_file).error.startswith("certificate: ")


def test_an_authority_that_is_unknown_is_not_believed(receive, certificates):
    """The system's authorities are trusted unless others are configured."""
    receiver = receive(context=certificates.server())
    assert post(receiver.url()).error.startswith("certificate: ")
    assert receiver.requests == []


def test_tls_has_a_deadline_too(receive, certificates):
    """It covers the handshake and the data."""
    silent = receive(never_read)
    url = silent.url().replace("http:", "https:")
    began = time.monotonic()
    assert post(url, timeout=0.4).error == "no answer in 0.4 seconds"
    dripping = receive(drip_with(b"HTTP/1.1 200 OK\r\nX: ", b"x"), context=certificates.server())
    found = post(dripping.url(), timeout=0.4, ca_file=certificates.path("ca.pem"))
    assert found.error == "no answer in 0.4 seconds"
    assert time.monotonic() - began < 6.0


def test_plain_http_at_a_tls_port_is_a_failure(receive):
    """And not an exception."""

    def say(connection, _receiver):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    found = post(receive(say).url().replace("http:", "https:"))
    assert found.status is None
    assert "SSL" in found.error


def test_old_tls_is_refused():
    """As Python's own defaults have it."""
    context = client()._tls()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_tls_is_1_2_at_least_whatever_the_system_allows(monkeypatch):
    """The default of OpenSSL's configuration may be lower."""
    default = ssl.create_default_context

    def lower(**options):
        context = default(**options)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context

    monkeypatch.setattr(ssl, "create_default_context", lower)
    assert client()._tls().minimum_version is ssl.TLSVersion.TLSv1_2

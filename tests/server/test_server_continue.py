"""``100 Continue`` is said once, and to whom asked for it."""

from typing import Any

from servertools import Serve


def echo(environ: Any, start_response: Any) -> Any:
    """Send the body back."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def test_an_expectation_ends_with_its_request(serve: Serve) -> None:
    """One that sent its body at once is not told to go on at the connection's next request."""
    client = serve(echo).client()
    expecting = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"
    assert client.ask(expecting)[2] == b"ok"
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha")
    client.sock.settimeout(0.3)
    try:
        early = client.sock.recv(100)
    except TimeoutError:
        early = b""
    client.sock.settimeout(10)
    client.send(b"lf")
    assert early == b""
    assert client.answer()[2] == b"half"

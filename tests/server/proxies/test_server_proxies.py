"""Behind proxies, and below a path: what the application sees."""

import json
import logging
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER
from polling import eventually
from servertools import Client, Serve

HEADER = b"PROXY TCP4 203.0.113.5 198.51.100.7 1234 443\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def app(environ: Any, start_response: Any) -> Any:
    """Answer with the environ."""
    start_response("200 OK", [("Content-Type", "application/json")])
    plain = {key: value for key, value in environ.items() if isinstance(value, str | bool)}
    return [json.dumps(plain).encode()]


def seen(client: Client, target: str = "/", **fields: str) -> dict[str, Any]:
    """Ask, and return the environ."""
    status, _, body = client.get(target, **fields)
    assert status == b"HTTP/1.1 200 OK", body
    found: dict[str, Any] = json.loads(body)
    return found


def test_without_trusted_hosts_nothing_is_touched(serve: Serve) -> None:
    """Applications with a middleware of their own go on working."""
    found = seen(serve(app).client(), X_Forwarded_For="203.0.113.5", Forwarded="for=x y")
    assert (found["REMOTE_ADDR"], found["HTTP_X_FORWARDED_FOR"]) == ("127.0.0.1", "203.0.113.5")
    assert found["HTTP_FORWARDED"] == "for=x y"


def test_a_trusted_host_is_believed_request_by_request(serve: Serve) -> None:
    """Nothing of one request is left in the next of its connection."""
    named = "x-forwarded, x-forwarded-prefix, forwarded"
    client = serve(app, trusted_hosts="127.0.0.1", forwarded_headers=named).client()
    found = seen(
        client, X_Forwarded_For="203.0.113.5", X_Forwarded_Proto="https", X_Forwarded_Host="a.test",
        X_Forwarded_Prefix="/shop",
    )  # fmt: skip
    assert (found["REMOTE_ADDR"], found["HTTP_HOST"]) == ("203.0.113.5", "a.test")
    assert (found["wsgi.url_scheme"], found["HTTPS"]) == ("https", "on")
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("a.test", "443")
    assert found["SCRIPT_NAME"] == "/shop"
    assert TRUSTS_PEER not in found
    for _ in range(3):  # the server remembers what is alike
        found = seen(client)
        assert (found["REMOTE_ADDR"], found["HTTP_HOST"]) == ("127.0.0.1", "x")
        assert (found["wsgi.url_scheme"], found["SCRIPT_NAME"]) == ("http", "")
    found = seen(client, Forwarded='for="[2001:db8::1]:9";proto=https')
    assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("2001:db8::1", "9")


def test_from_any_other_host_they_are_removed(serve: Serve) -> None:
    """All kinds, and nothing is applied."""
    client = serve(app, trusted_hosts="10.0.0.1").client()
    found = seen(client, X_Forwarded_For="203.0.113.5", Forwarded="for=x y", X_Forwarded_Proto="?")
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert [key for key in found if "FORWARDED" in key] == []
    assert TRUSTS_PEER not in found


def test_repeated_fields_are_one_list(serve: Serve) -> None:
    """In the order in which they came."""
    client = serve(app, trusted_hosts="127.0.0.1").client()
    status, _, body = client.ask(
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.5\r\n"
        b"X-Forwarded-For: 127.0.0.1\r\n\r\n"
    )
    assert status == b"HTTP/1.1 200 OK"
    assert json.loads(body)["REMOTE_ADDR"] == "203.0.113.5"


def test_what_is_malformed_is_refused_and_the_connection_closed(serve: Serve) -> None:
    """The proxy and its server do not agree: better not go on."""
    client = serve(app, trusted_hosts="127.0.0.1", forwarded_headers="forwarded").client()
    status, fields, body = client.get(Forwarded="for=")
    assert status == b"HTTP/1.1 400 Bad Request"
    assert fields[b"connection"] == b"close"
    assert body == b"The Forwarded field is malformed.\n"
    assert client.is_closed()


@pytest.mark.parametrize(
    ("kind", "client_address"), [("x-forwarded", "203.0.113.5"), ("forwarded", "198.51.100.1")]
)
def test_one_kind_can_be_chosen(serve: Serve, kind: str, client_address: str) -> None:
    """Else, where they differ, neither is believed."""
    fields = {"X_Forwarded_For": "203.0.113.5", "Forwarded": "for=198.51.100.1"}
    client = serve(app, trusted_hosts="127.0.0.1", forwarded_headers=kind).client()
    assert seen(client, **fields)["REMOTE_ADDR"] == client_address
    both = "x-forwarded, forwarded"
    client = serve(app, trusted_hosts="127.0.0.1", forwarded_headers=both).client()
    assert client.get(**fields)[0] == b"HTTP/1.1 400 Bad Request"


def test_a_name_with_underscores_is_no_way_in(serve: Serve) -> None:
    """`X_Forwarded_For` has the environ key of `X-Forwarded-For`, and is dropped before."""
    client = serve(app, trusted_hosts="127.0.0.1").client()
    _, _, body = client.ask(
        b"GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\n"
        b"X_Real_IP: 6.6.6.6\r\n\r\n"
    )
    found = json.loads(body)
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert [key for key in found if "FORWARDED" in key or "REAL" in key] == []


def test_the_access_log_names_the_client(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """And not the proxy."""
    served = serve(app, trusted_hosts="127.0.0.1", access_log=True)
    with caplog.at_level(logging.INFO, "dewar.server.access"):
        seen(served.client(), X_Forwarded_For="203.0.113.5")
        served.stop()
    assert caplog.messages[0].startswith("203.0.113.5 - - [")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


@pytest.mark.parametrize(("trusted", "address"), [("unix", "203.0.113.5"), ("127.0.0.1", "")])
def test_a_unix_socket_is_trusted_by_its_kind(
    serve: Serve, path: str, trusted: str, address: str
) -> None:
    """It has no address."""
    served = serve_unix(path, trusted)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(path)
            sock.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n")
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["REMOTE_ADDR"] == address
    finally:
        served.stop(5)


def serve_unix(path: str, trusted: str) -> Any:
    from dewar.server import Server, Settings

    server = Server(app, Settings(bind=f"unix:{path}", trusted_hosts=trusted))
    server.start()
    return server


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_proxy_header_tells_the_addresses(
    serve: Serve, certificates: Certificates, is_tls: bool
) -> None:
    """Once for all requests of the connection."""
    pair = certificates.pair() if is_tls else {}
    served = serve(app, proxy_protocol=True, trusted_hosts="127.0.0.1", **pair)
    client = served.client(certificates.client() if is_tls else None, before=HEADER)
    for _ in range(2):
        found = seen(client)
        assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("203.0.113.5", "1234")
        assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("198.51.100.7", "443")
        assert found["wsgi.url_scheme"] == ("https" if is_tls else "http")


def test_the_client_behind_a_proxy_header_is_not_trusted_itself(serve: Serve) -> None:
    """Its fields are forged: the proxy passes bytes on and adds none."""
    served = serve(app, proxy_protocol=True, trusted_hosts="127.0.0.1")
    found = seen(served.client(before=HEADER), X_Forwarded_For="6.6.6.6", Forwarded="for=6.6.6.6")
    assert found["REMOTE_ADDR"] == "203.0.113.5"
    assert [key for key in found if "FORWARDED" in key] == []


def test_a_proxy_header_may_come_byte_by_byte(serve: Serve) -> None:
    """And the request at once behind it, or not."""
    served = serve(app, proxy_protocol=True, trusted_hosts="127.0.0.1")
    client = served.client()
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in HEADER + GET:
        client.send(bytes([byte]))
    assert json.loads(client.answer()[2])["REMOTE_ADDR"] == "203.0.113.5"
    client = served.client()
    client.send(HEADER + GET + GET)
    assert [json.loads(client.answer()[2])["REMOTE_PORT"] for _ in range(2)] == ["1234"] * 2


@pytest.mark.parametrize(
    ("trusted", "says"),
    [
        ("127.0.0.1", "is trusted to send a PROXY header"),
        ("10.0.0.1", "only <TrustedHosts 10.0.0.1>"),
    ],
)
def test_a_connection_without_what_it_must_have_is_closed(
    serve: Serve, caplog: pytest.LogCaptureFixture, trusted: str, says: str
) -> None:
    """A trusted host without a header; anybody else with one. The log tells."""
    served = serve(app, proxy_protocol=True, trusted_hosts=trusted)
    client = served.client()
    with suppress(OSError):  # closed even before
        client.send(GET if trusted == "127.0.0.1" else HEADER + GET)
    assert client.is_closed()
    served.stop()
    assert says in caplog.text


def test_a_path_below_the_mount_is_split(serve: Serve) -> None:
    """Any other is left, for a proxy may have cut the prefix off."""
    client = serve(app, script_name="/shop").client()
    for target, parts in {
        "/shop/cart?x=1": ("/shop", "/cart"),
        "/shop": ("/shop", ""),
        "/cart": ("/shop", "/cart"),
        "/shopping": ("/shop", "/shopping"),
        "/shop%2fcart": ("/shop", "/shop/cart"),
    }.items():
        for _ in range(3):
            found = seen(client, target)
            assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == parts
            assert found["REQUEST_URI"] == target


@pytest.mark.parametrize("is_tls", [False, True])
def test_curl_sends_a_proxy_header(serve: Serve, certificates: Certificates, is_tls: bool) -> None:
    """Somebody else's idea of it is ours too."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs the curl command")
    pair = certificates.pair() if is_tls else {}
    served = serve(app, proxy_protocol=True, trusted_hosts="127.0.0.1", **pair)
    url = served.server.addresses[0]
    done = subprocess.run(
        [curl, "-sS", "--haproxy-protocol", "--cacert", certificates.path("ca.pem"), url, url],
        capture_output=True, timeout=30, check=True, text=True,
    )  # fmt: skip
    assert done.stdout.count('"REMOTE_ADDR": "127.0.0.1"') == 2


NGINX = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass https://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host shop.test;
      proxy_set_header X-Forwarded-Port ""; proxy_set_header X-Forwarded-Prefix "";
    }}
  }}
}}
"""


def test_nginx_in_front_of_tls_and_trusted_fields(
    serve: Serve, certificates: Certificates, tmp_path: Path
) -> None:
    """With TLS to the server, and a client that forges what it can."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("needs nginx")
    served = serve(
        app, trusted_hosts="127.0.0.1", forwarded_headers="x-forwarded", **certificates.pair()
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "nginx.conf"
    config.write_text(
        NGINX.format(
            folder=tmp_path, port=port, upstream=served.address[1], ca=certificates.path("ca.pem")
        )
    )
    process = subprocess.Popen(
        [nginx, "-c", str(config), "-p", str(tmp_path)], stderr=subprocess.PIPE
    )
    try:
        client = connect_when_up(port, process)
        found = seen(
            client, X_Forwarded_For="203.0.113.5", Forwarded="for=6.6.6.6;proto=https",
            X_Forwarded_Prefix="/evil", X_Forwarded_Port="1", X_Forwarded_Proto="https",
        )  # fmt: skip
        # The client is on this machine as well, and so a trusted host: what it says is believed.
        assert found["REMOTE_ADDR"] == "203.0.113.5"
        assert found["HTTP_X_FORWARDED_FOR"] == "203.0.113.5, 127.0.0.1"
        assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("http", "shop.test")
        assert found["SCRIPT_NAME"] == ""
        assert "HTTP_FORWARDED" not in found
        client.close()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def connect_when_up(port: int, process: "subprocess.Popen[bytes]") -> Client:
    """Return a connection as soon as there is somebody to take it."""

    def connect() -> Client | None:
        try:
            return Client(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert process.poll() is None, "nginx has ended"
            return None

    return eventually(connect, "nginx listens")

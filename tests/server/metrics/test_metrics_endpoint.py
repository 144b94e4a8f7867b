"""The page that Prometheus scrapes, on a server that runs."""

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dewar.server import Server, Settings
from dewar.server.errors import BindError
from dewar.server.metrics.exposition import CONTENT_TYPE
from dewar.server.server import maybe_metrics_server
from metricstools import Family, parse
from servertools import Client, Serve, Served

WORKER = (("worker", "1"),)


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def address_in(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


@pytest.fixture
def scrapers() -> Iterator[list[Client]]:
    clients: list[Client] = []
    yield clients
    for client in clients:
        client.close()


def scraper(served: Served, clients: list[Client]) -> Client:
    clients.append(Client(address_in(served.server.metrics_addresses[0])))
    return clients[-1]


def scrape(client: Client) -> dict[str, Family]:
    status, fields, body = client.get("/metrics")
    assert status == b"HTTP/1.1 200 OK"
    assert fields[b"content-type"] == CONTENT_TYPE.encode()
    return parse(body.decode())


def requests_in(families: dict[str, Family]) -> float:
    return families["dewar_requests_total"].samples[WORKER]


def test_the_numbers_are_those_of_the_app(serve: Serve, scrapers: list[Client]) -> None:
    """A scrape counts nothing itself."""
    served = serve(hello, metrics="127.0.0.1:0")
    client, scraping = served.client(), scraper(served, scrapers)
    for _ in range(3):
        client.get("/")
        scrape(scraping)
    families = scrape(scraping)
    assert requests_in(families) == 3
    assert families["dewar_connections"].samples[WORKER] == 1
    assert families["dewar_connections_total"].samples[WORKER] == 1


def test_under_load_counters_only_grow(serve: Serve, scrapers: list[Client]) -> None:
    """Each scrape is a whole page, and the last one has every request."""
    served = serve(hello, threads=4, metrics="127.0.0.1:0")
    scraping = scraper(served, scrapers)
    each, clients = 200, [served.client() for _ in range(4)]

    def ask(client: Client) -> None:
        for _ in range(each):
            client.get("/")

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        seen.append(requests_in(scrape(scraping)))
    for thread in threads:
        thread.join()
    assert requests_in(scrape(scraping)) == each * len(clients)
    assert seen == sorted(seen)


def test_it_answers_while_the_app_does_not(serve: Serve, scrapers: list[Client]) -> None:
    """All of the application's threads may be stuck."""
    entered, release = threading.Event(), threading.Event()

    def stuck(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        entered.set()
        release.wait(10)
        return hello(environ, start_response)

    served = serve(stuck, threads=1, metrics="127.0.0.1:0")
    client = served.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(10)
    families = scrape(scraper(served, scrapers))
    release.set()
    assert families["dewar_threads"].samples[WORKER] == 1
    assert client.answer()[2] == b"hello"


def test_there_is_one_page(serve: Serve, scrapers: list[Client]) -> None:
    """HEAD has no body, other methods are refused, and other pages are not there."""
    client = scraper(serve(hello, metrics="127.0.0.1:0"), scrapers)
    status, fields, _ = client.ask(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == b"HTTP/1.1 200 OK"
    assert int(fields[b"content-length"]) > 0
    assert fields[b"cache-control"] == b"no-store"
    status, _, body = client.get("/")
    assert (status, body) == (b"HTTP/1.1 404 Not Found", b"The page is /metrics.\n")
    status, fields, _ = client.ask(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, fields[b"allow"]) == (b"HTTP/1.1 405 Method Not Allowed", b"GET, HEAD")
    assert client.get("/metrics?x=1")[0] == b"HTTP/1.1 200 OK"


def test_it_ends_with_the_server(serve: Serve) -> None:
    """Its address is free again, and its thread gone."""
    before = threading.active_count()
    served = serve(hello, metrics="127.0.0.1:0")
    address = address_in(served.server.metrics_addresses[0])
    served.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    assert threading.active_count() == before


def test_where_it_can_not_listen_nothing_does() -> None:
    """The application's address is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = f"127.0.0.1:{taken.getsockname()[1]}"
        server = Server(hello, Settings(bind=bind, metrics=metrics))
        with pytest.raises(BindError, match="in use"):
            server.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address_in(bind), timeout=5)
    assert server.metrics_addresses == ()
    assert "NEW" in repr(server)


@pytest.mark.parametrize(("address", "warns"), [("127.0.0.1:0", False), ("0.0.0.0:0", True)])
def test_an_address_that_others_reach_is_warned_of(
    address: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The numbers are not for everybody."""
    make = maybe_metrics_server(Settings(metrics=address))
    assert make is not None
    endpoint = make(dict, list)
    with caplog.at_level(logging.WARNING, "dewar.server"):
        endpoint.start()
    try:
        assert ("can be read by other machines" in caplog.text) is warns
        assert endpoint.addresses[0] in repr(endpoint)
    finally:
        endpoint.stop()

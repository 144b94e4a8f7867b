"""The server serves whatever is WSGI."""

import threading
from typing import Any
from wsgiref.validate import validator

import pytest

from servertools import Serve


def dewar_app() -> Any:
    from dewar import Dewar, request, stream_with_context

    app = Dewar("served", static_folder=None)
    app.add_url_rule("/hello/<name>", "hello", lambda name: f"Hello, {name}")
    app.add_url_rule("/echo", "echo", lambda: request.get_data(), methods=["POST"])
    app.add_url_rule(
        "/stream", "stream", lambda: stream_with_context(request.path for _ in range(3))
    )
    return app


def flask_app() -> Any:
    from flask import Flask, request, stream_with_context

    app = Flask("served", static_folder=None)
    app.add_url_rule("/hello/<name>", "hello", lambda name: f"Hello, {name}")
    app.add_url_rule("/echo", "echo", lambda: request.get_data(), methods=["POST"])
    app.add_url_rule(
        "/stream", "stream", lambda: stream_with_context(request.path for _ in range(3))
    )
    return app


def falcon_app() -> Any:
    import falcon

    class Hello:
        def on_get(self, request: Any, response: Any, name: str) -> None:
            response.text = f"Hello, {name}"

    class Echo:
        def on_post(self, request: Any, response: Any) -> None:
            response.data = request.bounded_stream.read()

    class Stream:
        def on_get(self, request: Any, response: Any) -> None:
            response.stream = (request.path.encode() for _ in range(3))

    app = falcon.App()
    app.add_route("/hello/{name}", Hello())
    app.add_route("/echo", Echo())
    app.add_route("/stream", Stream())
    return app


def django_app() -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    class Urls:
        urlpatterns = (
            path("hello/<name>", lambda request, name: HttpResponse(f"Hello, {name}")),
            path("echo", lambda request: HttpResponse(request.body)),
            path(
                "stream",
                lambda request: StreamingHttpResponse(request.path for _ in range(3)),
            ),
        )

    if not settings.configured:
        settings.configure(ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True)
        django.setup(set_prefix=False)
    return WSGIHandler()


@pytest.mark.parametrize("make", [dewar_app, flask_app, falcon_app, django_app])
def test_apps_of_four_frameworks_are_served(serve: Serve, make: Any) -> None:
    """Text, a body, and a stream, from eight clients at once."""
    served = serve(make(), threads=8)
    start = threading.Barrier(8)
    failures: list[Any] = []

    def work(number: int) -> None:
        client = served.client()
        start.wait()
        for turn in range(20):
            name = f"{number}-{turn}"
            body = f"body of {name}".encode()
            head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            answers = (
                client.get(f"/hello/{name}")[2],
                client.ask(head.encode() + body)[2],
                client.get("/stream")[2],
            )
            if answers != (f"Hello, {name}".encode(), body, b"/stream" * 3):
                failures.append(answers)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_standard_librarys_validator_finds_nothing(serve: Serve, caplog: Any) -> None:
    """The environ, start_response and the iteration are as PEP 3333 has them."""

    @validator
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(100)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"got ", body]

    client = serve(app).client()
    assert client.get("/a?b=c")[2] == b"got "
    posted = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nhi"
    assert client.ask(posted)[2] == b"got hi"
    assert client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")[0] == b"HTTP/1.1 200 OK"
    assert caplog.records == []


def test_the_validator_finds_nothing_in_a_dewar_app_either(serve: Serve, caplog: Any) -> None:
    """On both lanes, with a stream and with errors."""
    app = dewar_app()
    app.logger.disabled = True
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    client = serve(validator(app)).client()
    assert client.get("/hello/you")[2] == b"Hello, you"
    assert client.get("/stream")[2] == b"/stream" * 3
    assert client.get("/missing")[0] == b"HTTP/1.1 404 NOT FOUND"
    assert client.get("/broken")[0] == b"HTTP/1.1 500 INTERNAL SERVER ERROR"
    assert client.ask(b"HEAD /hello/you HTTP/1.1\r\nHost: x\r\n\r\n")[2] == b""
    app.logger.disabled = False
    assert caplog.records == []


def test_a_chunked_body_has_a_length(serve: Serve) -> None:
    """It has been received, and so an app that asks for the length reads all of it."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append((environ["CONTENT_LENGTH"], environ.get("HTTP_TRANSFER_ENCODING")))
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert serve(app).client().ask(head + b"3\r\na=b\r\n0\r\n\r\n")[2] == b"a=b"
    assert seen == [("3", None)]


def test_an_app_that_exits_answers_500(serve: Serve, caplog: Any) -> None:
    """The error is logged, and the server goes on."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/exit":
            raise SystemExit(3)
        start_response("200 OK", [])
        return [b"on"]

    served = serve(app, threads=1)
    assert served.client().get("/exit")[0] == b"HTTP/1.1 500 Internal Server Error"
    assert served.client().get("/")[2] == b"on"
    assert "SystemExit" in caplog.text


def test_the_environ_says_who_and_where(serve: Serve) -> None:
    """The keys of PEP 3333 and of CGI."""
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> Any:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    served = serve(app, threads=3)
    client = served.client()
    client.get("/p?q")
    host, port = served.address
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (host, str(port))
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == (
        "127.0.0.1",
        str(client.sock.getsockname()[1]),
    )
    assert (seen["wsgi.version"], seen["wsgi.url_scheme"]) == ((1, 0), "http")
    assert (seen["wsgi.multithread"], seen["wsgi.multiprocess"]) == (True, False)
    assert (seen["wsgi.run_once"], seen["wsgi.input_terminated"]) == (False, True)
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert seen["SCRIPT_NAME"] == ""
    client.get("/a%2Fb?%41")
    assert seen["REQUEST_URI"] == seen["RAW_URI"] == "/a%2Fb?%41"

import logging

import pytest


def test_nothing_there_is_a_page_of_its_own(client):
    """A 404 says which address has nothing, and does not run what the address contains."""
    answer = client.get("/<b>nowhere")
    assert answer.status_code == 404
    assert "There is nothing at /&lt;b&gt;nowhere" in answer.text
    assert "<title>404 · Dewar tour</title>" in answer.text


def test_a_view_that_raises_shows_a_page_and_no_traceback(client, caplog):
    """A 500 keeps the reason for the log, where the request's id stands beside it."""
    with caplog.at_level(logging.ERROR):
        answer = client.get("/errors/raise")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "on purpose" not in answer.text
    assert any(record.exc_info for record in caplog.records)
    assert answer.headers["X-Request-Id"] in caplog.text


def test_any_other_status_has_a_page_too(client):
    """A status without a handler of its own is shown by the handler for them all."""
    answer = client.get("/errors/teapot")
    assert answer.status_code == 418
    assert "I&#39;m a teapot" in answer.text


def test_the_wrong_method_names_the_right_one(client):
    """An error page keeps the headers its error came with."""
    answer = client.get("/counter/reset")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", "/api/nowhere", 404), ("get", "/api/notes/1", 404), ("put", "/api/notes", 405)],
)
def test_below_api_every_error_is_json(client, method, path, status):
    """Programs get an object with the error, whatever went wrong."""
    answer = client.open(path, method=method.upper())
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    assert list(answer.json) == ["error"]

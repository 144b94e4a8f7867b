"""Static files and `send_file`."""

import io
from pathlib import Path

import pytest

from dewar import Dewar, send_file, send_from_directory


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    static = tmp_path / "static"
    static.mkdir()
    (static / "a.txt").write_text("0123456789")
    (tmp_path / "secret.txt").write_text("secret")
    return Dewar("files", root_path=str(tmp_path))


def test_static_files_are_served_with_ranges_and_conditions(app: Dewar) -> None:
    """Under the name of their folder."""
    client = app.test_client()
    whole = client.get("/static/a.txt", buffered=True)
    assert (whole.status_code, whole.text) == (200, "0123456789")
    assert whole.mimetype == "text/plain"
    part = client.get("/static/a.txt", headers={"Range": "bytes=2-4"}, buffered=True)
    assert (part.status_code, part.text) == (206, "234")
    again = client.get(
        "/static/a.txt", headers={"If-None-Match": whole.headers["ETag"]}, buffered=True
    )
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "%2e%2e/secret.txt", "/etc/passwd", "..\\secret.txt", "missing.txt"]
)
def test_nothing_outside_of_the_folder_is_served(app: Dewar, path: str) -> None:
    """Whatever the client names."""
    assert app.test_client().get(f"/static/{path}").status_code in (308, 404)
    with app.test_request_context("/"), pytest.raises(Exception, match="404"):
        send_from_directory("static", path)


def test_files_are_found_from_the_apps_folder_and_may_be_open_ones(app: Dewar) -> None:
    """And may be downloads, with the app's age limit."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    app.add_url_rule("/path", "path", lambda: send_file("secret.txt", as_attachment=True))
    app.add_url_rule("/open", "open", lambda: send_file(io.BytesIO(b"open"), "text/x"))
    client = app.test_client()
    answer = client.get("/path", buffered=True)
    assert answer.text == "secret"
    assert answer.headers["Content-Disposition"] == "attachment; filename=secret.txt"
    assert answer.cache_control.max_age == 60
    assert client.get("/open", buffered=True).text == "open"


def test_resources_are_only_read(app: Dewar) -> None:
    """As text or as bytes."""
    with app.open_resource("secret.txt") as file:
        assert file.read() == b"secret"
    with app.open_resource("secret.txt", "r", encoding="ascii") as file:
        assert file.read() == "secret"
    with pytest.raises(ValueError, match="only be opened for reading"):
        app.open_resource("secret.txt", "w")


def test_an_app_may_have_no_static_files() -> None:
    """Then nothing is served, and asking says why."""
    app = Dewar("without", static_folder=None)
    assert app.test_client().get("/static/a.txt").status_code == 404
    with pytest.raises(RuntimeError, match="'static_folder' must be set"):
        app.send_static_file("a.txt")
    with pytest.raises(ValueError, match="go together"):
        Dewar("hosts", static_host="x.test")

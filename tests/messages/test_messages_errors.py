"""What debug mode says of a file that could not have been sent."""

from typing import Any

import flask
import pytest

import dewar
from dewar.messages.errors import DebugFilesKeyError


def build(framework: Any, app_class: Any, debug: bool) -> Any:
    app = app_class("files", static_folder=None)
    app.config.update(DEBUG=debug, PROPAGATE_EXCEPTIONS=True)

    def view() -> Any:
        files = framework.request.files
        try:
            return files["upload"].filename
        except KeyError as error:
            found = isinstance(error, AssertionError), files.get("upload"), "upload" in files
            return repr((*found, list(files), len(files)))

    app.add_url_rule("/", "view", view, methods=["POST"])
    return app


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"upload": "name.txt"}},
        {"data": {"other": "name.txt"}},
        {"data": {"upload": ["a.txt", "b.txt"]}},
        {"data": {"upload": "name.txt"}, "content_type": "multipart/form-data"},
        {"json": {"upload": "name.txt"}},
        {"data": b"upload=name.txt", "content_type": "text/plain"},
        {},
    ],
    ids=repr,
)
def test_a_missing_file_is_the_error_it_is_on_flask(sent: dict[str, Any], debug: bool) -> None:
    """A KeyError; an AssertionError as well where the form has the name and could send no file."""
    ours = build(dewar, dewar.Dewar, debug).test_client().post("/", **sent)
    theirs = build(flask, flask.Flask, debug).test_client().post("/", **sent)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)


def test_the_error_says_how_to_send_files() -> None:
    """It names the key, how the form was sent and what was in it."""
    app = dewar.Dewar("files", static_folder=None)
    app.debug = True
    with app.test_request_context("/", method="POST", data={"upload": ["a.txt", "b.txt"]}):
        with pytest.raises(DebugFilesKeyError) as caught:
            dewar.request.files["upload"]
    for part in ("'upload'", "application/x-www-form-urlencoded", "multipart/form-data", "'a.txt', 'b.txt'"):  # fmt: skip # noqa: E501
        assert part in str(caught.value)
    assert caught.value.args == ("upload",)
    app.debug = False
    with app.test_request_context("/", method="POST", data={"upload": "a.txt"}):
        with pytest.raises(KeyError) as plain:
            dewar.request.files["upload"]
    assert not isinstance(plain.value, AssertionError)

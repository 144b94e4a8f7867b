"""A body that can be read in two ways is read as Flask reads it."""

from collections.abc import AsyncIterator, Iterator
from unittest.mock import MagicMock

import pytest

from dewar import Dewar, Response


class Both:
    """Text for those who wait and those who do not, as HTTP clients have it."""

    def __iter__(self) -> Iterator[str]:
        yield "read"

    def __aiter__(self) -> AsyncIterator[str]:
        raise AssertionError("it was read on the event loop")


class Asynchronous:
    """Text for those who wait."""

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "awaited"


@pytest.mark.parametrize(("source", "text"), [(Both, "read"), (Asynchronous, "awaited")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_what_has_no_other_way_is_read_on_the_event_loop(
    source: type, text: str, method: str
) -> None:
    """Through the server and by the program itself."""
    app = Dewar("shop")
    app.add_url_rule("/", view_func=lambda: Response(source()))
    assert app.test_client().open("/", method=method).text == ("" if method == "HEAD" else text)
    assert b"".join(Response(source()).iter_encoded()).decode() == text


def test_a_mock_may_stand_for_a_view_s_response() -> None:
    """It can be called as a WSGI app, and is empty however it is read."""
    app = Dewar("shop")
    view = MagicMock()
    app.add_url_rule("/", endpoint="index", view_func=lambda: view())
    response = app.test_client().get("/")
    assert response.data == b""
    view.assert_called_once_with()

"""The views of `parts_of_flask` in Falcon, which has neither sessions nor blueprints."""

from collections.abc import Callable
from typing import Any

import falcon


class View:
    """Answers GET and POST with a function of the request."""

    def __init__(self, text_of: Callable[[falcon.Request], Any]) -> None:
        self._text_of = text_of

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = self._text_of(request)

    on_post = on_get


class Before:
    """Middleware with a method before the view."""

    def process_request(self, _request: falcon.Request, _response: falcon.Response) -> None:
        """Do nothing."""


class Around(Before):
    """Middleware with a method before the view and one after it."""

    def process_response(self, _request: Any, _response: Any, _resource: Any, _ok: bool) -> None:
        """Do nothing."""


app = falcon.App()
app.add_route("/missing", View(lambda request: str(request.get_param("q"))))
app.add_route("/header", View(lambda request: request.get_header("X-Tea")))
app.add_route("/cookie", View(lambda request: request.cookies.get("tea")))
app.add_route("/json", View(lambda request: request.get_media()["tea"]))
app.add_route("/form", View(lambda request: request.get_media()["tea"]))
hooked = falcon.App(middleware=[Before(), Around(), Around()])
hooked.add_route("/outer/inner/page", View(lambda _request: "Hello, World!"))

"""The tiny application in Falcon."""

import falcon


class Hello:
    """Greets."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Greet."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello, World!"


class Message:
    """Greets in JSON."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Greet in JSON."""
        response.media = {"message": "Hello, World!"}


class User:
    """Describes the request."""

    def on_get(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        """Name the user, the method and the query."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = f"{number} {request.method} {request.get_param('q')}"


app = falcon.App()
app.add_route("/", Hello())
app.add_route("/json", Message())
app.add_route("/user/{number:int}", User())

"""`Response`: Werkzeug's response with a web page's defaults."""

from werkzeug.wrappers import Response as WerkzeugResponse

from dewar import json
from dewar.contexts.current import maybe_current

__all__ = ["Response"]


class Response(WerkzeugResponse):
    """What goes back to the client: a body, a status and headers.

    It is an HTML page unless another `mimetype` is given. Views seldom need it: what they
    return becomes one.
    """

    default_mimetype = "text/html"
    json_module = json
    autocorrect_location_header = False

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]  # an attribute in Werkzeug
        """How many bytes a cookie may have before a warning: ``MAX_COOKIE_SIZE``."""
        context = maybe_current()
        if context is None:
            return super().max_cookie_size
        size: int = context.app.config["MAX_COOKIE_SIZE"]
        return size

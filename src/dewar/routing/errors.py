"""The error of debug mode for a redirect that would lose a form."""

from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Request

from dewar.errors import DewarError


class FormDataRoutingRedirect(DewarError, AssertionError):  # noqa: N818  # Flask's name
    """Raised in debug mode for a request with a body that the router would redirect.

    Browsers follow the redirect with an empty GET or, at best, send the body twice. It is an
    `AssertionError`, as Flask's is.
    """

    def __init__(self, request: Request, redirect: RequestRedirect) -> None:
        super().__init__(
            f"A request was sent to {request.url!r}, and routing redirects it to"
            f" the canonical URL {redirect.new_url!r} (the rule ends with a slash, or another rule"
            f" has this one as its alias). Send the {request.method} request to the canonical URL"
            " directly, because clients drop or repeat the form data on a redirect. This error is"
            " shown in debug mode only."
        )


class StaticHostError(DewarError, AssertionError, ValueError):
    """Raised for ``static_host`` without ``host_matching``, or the other way round.

    It is an `AssertionError`, as Flask's is.
    """

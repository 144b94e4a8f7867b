"""Why a request was refused, as a value that knows its status."""


class Refusal(Exception):  # noqa: N818 - a verdict on a request, raised only inside the parser
    """A request that the server does not hand to the application.

    Attributes:
        status: The status line to answer with, such as ``"400 Bad Request"``.
        reason: One sentence for the client. It never repeats what the client sent.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


BAD_REQUEST = "400 Bad Request"
TIMEOUT = "408 Request Timeout"
TOO_LARGE = "413 Content Too Large"
URI_TOO_LONG = "414 URI Too Long"
EXPECTATION_FAILED = "417 Expectation Failed"
FIELDS_TOO_LARGE = "431 Request Header Fields Too Large"
INTERNAL = "500 Internal Server Error"
NOT_IMPLEMENTED = "501 Not Implemented"
UNAVAILABLE = "503 Service Unavailable"
VERSION = "505 HTTP Version Not Supported"

BODY_TIMEOUT = Refusal(TIMEOUT, "The body of the request did not come in time.")

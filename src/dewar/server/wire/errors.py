"""The statuses that the server itself answers with."""

from dewar.server.errors import Refusal

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

"""What can go wrong on the server's own side: settings, addresses, the application's use of WSGI.

What a *client* does wrong is a `Refusal`.
"""

from dewar.errors import DewarError


class Refusal(Exception):  # noqa: N818 - a verdict on a request, raised only inside the parser
    """A request that the server does not hand to the application.

    Attributes:
        status: The status line to answer with, such as ``"400 Bad Request"``.
        reason: One sentence for the client. It never repeats what the client sent.
        cause: What the server lacks, for its log, with nothing from a request in it. It is "" if
            the client is to blame.
    """

    def __init__(self, status: str, reason: str, cause: str = "") -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.cause = cause


class ServerError(DewarError):
    """The root of the server's errors."""


class SettingsError(ServerError, ValueError):
    """Raised when a setting has an invalid value.

    Carries the setting's name as ``setting``, if only one is at fault.
    """

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class BindError(ServerError, OSError):
    """Raised when the server cannot listen on an address.

    Carries the bind string as ``bind``; the system's error is the cause.
    """

    def __init__(self, bind: str, reason: str) -> None:
        super().__init__(f"Cannot listen on {bind!r}: {reason}")
        self.bind = bind


class LogFileError(ServerError, OSError):
    """Raised when a log file cannot be opened; the system's error is the cause.

    Carries the path as ``path``.
    """

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(
            f"Cannot write the access log to {path!r}: {error.strerror or error}."
            " Its folder must exist, and this user must be allowed to write there."
        )
        self.path = path


class ServerStateError(ServerError, RuntimeError):
    """Raised when a server is started twice, or used before it is started."""


class StartError(ServerError, RuntimeError):
    """Raised when the worker processes cannot start to serve; the message says why."""


class ApplicationError(ServerError, RuntimeError):
    """Raised when an application breaks PEP 3333; the message names the rule.

    ``start_response`` and ``write`` raise it to the application; otherwise it is logged with the
    request. The client gets a 500 if the response has not begun.
    """


class BodyError(ServerError, OSError):
    """Raised by ``wsgi.input`` when the rest of a body is refused or does not arrive.

    Only if the application is called before the body has arrived, because the client waits for
    ``100 Continue``. Carries the server's response as ``refusal``; the client gets it unless the
    application sends another.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"The body of the request cannot be read: {refusal.reason}")
        self.refusal = refusal


class ClientGoneError(ServerError, ConnectionError):
    """Raised by ``write`` when the client has disconnected or does not read in time."""

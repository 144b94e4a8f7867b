"""What goes wrong with sessions."""

from dewar.errors import DewarError


class SessionUnavailableError(DewarError, RuntimeError):
    """Raised when a session is changed that cannot be kept, because there is no secret key.

    It is a `RuntimeError`, as Flask's is.
    """

    def __init__(self) -> None:
        super().__init__(
            "The session is unavailable because the app has no secret key to sign its cookie"
            " with. Make one with: python -c 'import secrets; print(secrets.token_hex())'"
            " and set it before the first request: app.secret_key = '...'"
        )


class SecretKeyError(DewarError, TypeError):
    """Raised when ``SECRET_KEY_FALLBACKS`` is one key instead of a list of keys.

    Each of its characters would be a key on its own, and one character is soon guessed.
    """

    def __init__(self) -> None:
        super().__init__(
            "SECRET_KEY_FALLBACKS is a single key, and must be a list of keys:"
            " app.config['SECRET_KEY_FALLBACKS'] = [old_key]"
        )

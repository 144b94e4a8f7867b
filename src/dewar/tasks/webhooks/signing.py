"""Signatures by Standard Webhooks, https://www.standardwebhooks.com, version 1: HMAC-SHA256.

What is signed is ``{id}.{timestamp}.{body}``. Neither of the first two may hold a full stop, or
the same bytes could be read in two ways.
"""

import hashlib
import hmac
import secrets as random_bytes
from base64 import b64decode, b64encode
from collections.abc import Iterable

from dewar.tasks.errors import TaskSetupError

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

_PREFIX = "whsec_"
#: Bytes of a secret, as the specification has them.
_SHORTEST = 24
_LONGEST = 64
_NEW = 32


def new_secret() -> str:
    """Return a new secret, ``whsec_`` and base64, for the sender and the receiver to share."""
    return _PREFIX + b64encode(random_bytes.token_bytes(_NEW)).decode("ascii")


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret. No message shows any of it.

    Raises:
        TaskSetupError: (a `ValueError`) where it is not ``whsec_`` and the base64 of 24 to 64
            bytes.
    """
    if not str(text).startswith(_PREFIX):
        raise TaskSetupError(
            f"A callback secret is a str that begins with {_PREFIX!r}. Make one:"
            " dewar.tasks.webhooks.new_secret()."
        )
    try:
        secret = b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise TaskSetupError(
            f"A callback secret is base64 behind {_PREFIX!r}, with its padding; this one is not."
            " Was it copied whole?"
        ) from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise TaskSetupError(
            f"A callback secret has {_SHORTEST} to {_LONGEST} bytes, this one has {len(secret)}."
            " Make one: dewar.tasks.webhooks.new_secret()."
        )
    return secret


def signature(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Return one signature: ``v1,`` and base64."""
    signed = f"{id}.{timestamp}.".encode("utf-8", "replace") + body
    return "v1," + b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")


def sign(secrets: Iterable[bytes], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a callback.

    Args:
        secrets: Sign with each; two while one takes the place of the other.
        id: Of the message, the same for each attempt.
        timestamp: Of this attempt, in seconds since the epoch.
        body: Exactly what is sent.

    Raises:
        ValueError: If the id has a full stop.
    """
    if "." in id:
        raise ValueError(f"The id of a callback has no full stop: {id!r}.")
    signatures = [signature(secret, id, str(timestamp), body) for secret in secrets]
    return {ID: id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}

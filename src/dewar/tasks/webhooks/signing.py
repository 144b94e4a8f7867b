"""Signatures by Standard Webhooks, https://www.standardwebhooks.com, version 1: HMAC-SHA256.

The signed bytes are ``{id}.{timestamp}.{body}``. The id and the timestamp have no full stop in
them, because otherwise the same bytes could be read in two ways.
"""

import hashlib
import hmac
import json
import secrets as random_bytes
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dewar.tasks.errors import TaskSetupError, VerificationError

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

_PREFIX = "whsec_"
#: The length of a secret in bytes, by the specification.
_SHORTEST = 24
_LONGEST = 64
_NEW = 32
#: Digits of a timestamp, which are enough for thirty thousand years.
_DIGITS = 12


def new_secret() -> str:
    """Return a new secret, ``whsec_`` and base64, for the sender and the receiver to share."""
    return _PREFIX + b64encode(random_bytes.token_bytes(_NEW)).decode("ascii")


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret. No error message shows any part of it.

    Raises:
        TaskSetupError: (a `ValueError`) if it is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """
    if not str(text).startswith(_PREFIX):
        raise TaskSetupError(
            f"A callback secret must be a str that begins with {_PREFIX!r}. Make one:"
            " dewar.tasks.webhooks.new_secret()."
        )
    try:
        secret = b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise TaskSetupError(
            f"A callback secret is base64 after {_PREFIX!r}, with its padding; this one is not."
            " Was it copied completely?"
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
        secrets: The secrets to sign with; two during the change from one to another.
        id: The id of the message, the same for each attempt.
        timestamp: The time of this attempt, in seconds since the epoch.
        body: The bytes that are sent.

    Raises:
        ValueError: If the id has a full stop in it.
    """
    if "." in id:
        raise ValueError(f"The id of a callback must have no full stop in it: {id!r}.")
    signatures = [signature(secret, id, str(timestamp), body) for secret in secrets]
    return {ID: id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


class Headers(Protocol):
    """A dict of headers, or ``request.headers``."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return the names and the values."""


def verify(
    body: bytes | str,
    headers: Headers,
    secrets: str | Sequence[str],
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> dict[str, Any]:
    """Check that a callback comes from the sender, and return its body as a dict.

    The same callback may come more than once: store its ``webhook-id``, and ignore repetitions.

    Args:
        body: The bytes that came, not parsed JSON: ``request.get_data()``.
        headers: The headers that came: ``request.headers``.
        secrets: The sender's secret, or several of which one has to match.
        tolerance: How many seconds the sender's clock may differ.
        now: Seconds since the epoch; None to read the clock.

    Raises:
        VerificationError: If the callback is not authentic.
        TaskSetupError: If a secret is malformed.
    """
    keys = [read_secret(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise TaskSetupError("verify() needs the sender's secret: verify(body, headers, secret).")
    content = body.encode() if isinstance(body, str) else bytes(body)
    id, timestamp, given = (_only(headers, name) for name in (ID, TIMESTAMP, SIGNATURE))
    expected = [signature(key, id, timestamp, content).encode() for key in keys]
    offered = [part.encode("utf-8", "replace") for part in given.split(" ")]
    # All are compared, so that the time does not show which one matches.
    matches = [hmac.compare_digest(one, other) for one in expected for other in offered]
    if not any(matches):
        raise VerificationError(
            "No signature of this callback matches. Check that the secret is the one of this sender"
            " and the body unchanged: verify(request.get_data(), request.headers, secret)."
        )
    _check_age(timestamp, tolerance, time.time() if now is None else now)
    return _read(content)


def _only(headers: Headers, name: str) -> str:
    found = [value for key, value in headers.items() if key.lower() == name]
    if len(found) != 1:
        raise VerificationError(
            f"A callback has one header {name!r}; this one has {len(found)}. Pass all headers that"
            " came to verify(): request.headers."
        )
    return found[0]


def _check_age(timestamp: str, tolerance: float, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        raise VerificationError(f"The header {TIMESTAMP!r} is not a number of seconds.")
    age = now - int(timestamp)
    if abs(age) > tolerance:
        raise VerificationError(
            f"This callback was sent {abs(age):.0f} seconds {'ago' if age > 0 else 'from now'};"
            f" the tolerance is {tolerance:g}. It is a replay, or a clock is wrong."
        )


def _read(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise VerificationError(
            "This callback is signed correctly, but its body is not a JSON object."
        )
    return value

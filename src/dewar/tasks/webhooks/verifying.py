"""`verify`: whether a callback that came is the sender's own, and of now."""

import hmac
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dewar.tasks.errors import TaskSetupError, VerificationError
from dewar.tasks.webhooks.signing import ID, SIGNATURE, TIMESTAMP, read_secret, signature

#: Digits of a timestamp, which are enough for thirty thousand years.
_DIGITS = 12


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
    """Return what a callback says, once it is known to be the sender's.

    The same callback may come more than once: keep its ``webhook-id``, and do nothing twice.

    Args:
        body: As it came, before anything has read it as JSON: ``request.get_data()``.
        headers: As they came; ``request.headers`` will do.
        secrets: The sender's secret, or several of which one is right.
        tolerance: How many seconds the sender's clock may be off, either way.
        now: Seconds since the epoch; None for the clock's.

    Raises:
        VerificationError: If it is not to be believed.
        TaskSetupError: If a secret is none.
    """
    keys = [read_secret(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise TaskSetupError("verify() needs the sender's secret: verify(body, headers, secret).")
    content = body.encode() if isinstance(body, str) else bytes(body)
    id, timestamp, given = (_only(headers, name) for name in (ID, TIMESTAMP, SIGNATURE))
    expected = [signature(key, id, timestamp, content).encode() for key in keys]
    offered = [part.encode("utf-8", "replace") for part in given.split(" ")]
    # All are compared, so that the time it takes says nothing about which is right.
    matches = [hmac.compare_digest(one, other) for one in expected for other in offered]
    if not any(matches):
        raise VerificationError(
            "No signature of this callback is right. Is the secret this sender's, and the body"
            " the very bytes that came: verify(request.get_data(), request.headers, secret)?"
        )
    _check_age(timestamp, tolerance, time.time() if now is None else now)
    return _read(content)


def _only(headers: Headers, name: str) -> str:
    found = [value for key, value in headers.items() if key.lower() == name]
    if len(found) != 1:
        raise VerificationError(
            f"A callback has one header {name!r}; this one has {len(found)}. Give verify() the"
            " headers as they came: request.headers."
        )
    return found[0]


def _check_age(timestamp: str, tolerance: float, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        raise VerificationError(f"The header {TIMESTAMP!r} is no number of seconds.")
    age = now - int(timestamp)
    if abs(age) > tolerance:
        raise VerificationError(
            f"This callback was sent {abs(age):.0f} seconds {'ago' if age > 0 else 'from now'};"
            f" {tolerance:g} are tolerated. It is a replay, or a clock is wrong."
        )


def _read(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise VerificationError("This callback is signed rightly, but its body is no JSON object.")
    return value

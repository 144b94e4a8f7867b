"""`SigningSerializer`: signs sessions and verifies them, with the bytes that itsdangerous gives.

PERF: itsdangerous starts an HMAC, compresses the text, and converts its values back and forth for
each cookie. Here is what it does with an ordinary one; everything else is left to it. A property
test holds the two equal.
"""

import hmac
import zlib
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from functools import cached_property
from typing import Any

from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import want_bytes
from itsdangerous.signer import HMACAlgorithm

from dewar.json.tagged import TaggedJSONSerializer, through

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
# A compressed text has six bytes around its blocks, and the shortest block with a repetition has
# four (RFC 1950, 1951). It is used if it saves two bytes.
_NEVER_SHORTER = 11
# A window of 512 bytes reaches 250 bytes back: zlib keeps the others for what it has not read.
_SMALL_WINDOW, _IN_SMALL_WINDOW = 9, 250
# The first two bytes that say how large the window is, as `zlib.compress` writes them.
_ZLIB_HEADER = b"x\x9c"
# A time between 1970 and 2106: four bytes in base64.
_TIMESTAMP_LENGTH = 6


class _PreparedHMAC(HMACAlgorithm):
    """Starts the HMAC of each key once, and continues with a copy."""

    def __init__(self, digest_method: Callable[..., Any]) -> None:
        super().__init__(digest_method)
        self._started: dict[bytes, hmac.HMAC] = {}

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        started = self._started.get(key)
        if started is None:
            started = self._started[key] = hmac.new(key, digestmod=self.digest_method)
        mac = started.copy()
        mac.update(value)
        return mac.digest()


class _LastingSigner(TimestampSigner):
    """Derives each secret key once; the keys of a signer never change."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.algorithm = _PreparedHMAC(self.digest_method)
        self._derived: dict[Any, bytes] = {}
        # The last timestamp and its text.
        self._stamped: tuple[int, bytes] = (-1, b"")

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        derived = self._derived.get(secret_key)
        if derived is None:
            derived = self._derived[secret_key] = super().derive_key(secret_key)
        return derived

    def sign(self, value: str | bytes) -> bytes:
        now = self.get_timestamp()
        stamped, text = self._stamped
        if now != stamped or isinstance(value, str):
            signed = super().sign(value)
            self._stamped = now, signed.rsplit(b".", 2)[1]
            return signed
        signed = b"%b.%b" % (value, text)
        return b"%b.%b" % (signed, self._signature_of(signed))

    def payload_of(self, text: str, max_age: int | None) -> bytes | None:
        """Return what was signed with the newest key; None if `unsign` has to decide."""
        if not text.isascii():
            return None
        signed, _, signature = text.encode().rpartition(b".")
        payload, dot, stamp = signed.rpartition(b".")
        if not dot or len(stamp) != _TIMESTAMP_LENGTH:
            return None
        if not hmac.compare_digest(signature, self._signature_of(signed)):
            return None
        try:
            then = int.from_bytes(a2b_base64(stamp.translate(_FROM_URL) + b"=="))
        except Base64Error:
            return None
        if max_age is not None and not 0 <= self.get_timestamp() - then <= max_age:
            return None
        return payload

    def _signature_of(self, value: bytes) -> bytes:
        return _encode(self.algorithm.get_signature(self.derive_key(), value))


class SigningSerializer(URLSafeTimedSerializer):
    """Keeps its signer, which has no state but its keys, so threads may share it."""

    default_signer: type[TimestampSigner] = _LastingSigner

    @cached_property
    def _dewar_signer(self) -> Any:
        return super().make_signer(self.salt)

    def make_signer(self, salt: str | bytes | None = None) -> Signer:
        """Return the signer, which is another one for another salt."""
        own = salt is None or salt == self.salt
        return self._dewar_signer if own else super().make_signer(salt)

    def dump_payload(self, obj: Any) -> bytes:
        """Return what is signed: the text of `obj`, compressed if that is shorter, in base64."""
        text = want_bytes(self.serializer.dumps(obj, **self.serializer_kwargs))
        packed = _compress(text)
        return _encode(text) if packed is None else b"." + _encode(packed)

    def loads(  # type: ignore[override]  # as in the class above
        self,
        s: str | bytes,
        max_age: int | None = None,
        return_timestamp: bool = False,
        salt: str | bytes | None = None,
    ) -> Any:
        """Return what was signed; the arguments and errors are those of itsdangerous."""
        signer = self._dewar_signer
        if isinstance(s, str) and not return_timestamp and salt is None:
            payload = signer.payload_of(s, max_age)
            if payload is not None:
                return self.load_payload(payload)
        return super().loads(s, max_age, return_timestamp, salt)


def make_signing(
    secret_keys: tuple[Any, ...],
    salt: str | bytes,
    key_derivation: str,
    digest_method: Callable[..., Any],
    serializer: Any,
    json: Any,
) -> SigningSerializer:
    """Return the serializer that signs with the last key; the others only verify."""
    if isinstance(serializer, TaggedJSONSerializer):
        serializer = through(serializer, json)
    return SigningSerializer(
        list(secret_keys),
        salt=salt,
        serializer=serializer,
        signer_kwargs={"key_derivation": key_derivation, "digest_method": digest_method},
    )


def _encode(value: bytes) -> bytes:
    return b2a_base64(value, newline=False).translate(_TO_URL).rstrip(b"=")


def _compress(text: bytes) -> bytes | None:
    """Return a text as `zlib.compress` writes it, or None if that is not shorter."""
    size = len(text)
    if size <= _NEVER_SHORTER:
        return None
    if size <= _IN_SMALL_WINDOW:
        # PERF: the usual window is 64 pages of new memory, which takes five times as long.
        packed = _ZLIB_HEADER + zlib.compress(text, wbits=_SMALL_WINDOW)[2:]
    else:
        packed = zlib.compress(text)
    return packed if len(packed) < size - 1 else None

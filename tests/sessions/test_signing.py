"""Cookies that Dewar signs and verifies itself are those of itsdangerous, byte for byte."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from dewar.json.provider import DefaultJSONProvider
from dewar.json.tagged import TaggedJSONSerializer, through
from dewar.sessions.secure_cookie import lazy_sha1
from dewar.sessions.signing import SigningSerializer, _compress, make_signing

NOW = 1_800_000_000


class App:
    """What a JSON provider is for."""

    debug = False
    response_class: type[Any] = dict


APP = App()
JSON = DefaultJSONProvider(APP)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.text("ab", max_size=400)
    | st.binary(max_size=9)
    | st.just(UUID(int=7))
    | st.just(datetime(2024, 2, 29, tzinfo=UTC))
)
keys = st.text(max_size=5) | st.sampled_from([" t", " b", " di", "_permanent", "user_id"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)
sessions = st.dictionaries(keys, values, max_size=5)
settings = st.fixed_dictionaries(
    {
        "salt": st.sampled_from(["cookie-session", b"\xff salt", "Salz ü"]),
        "key_derivation": st.sampled_from(["hmac", "concat", "django-concat", "none"]),
        "digest_method": st.sampled_from([lazy_sha1, hashlib.sha512, hashlib.blake2s]),
    }
)
USUAL: dict[str, Any] = {
    "salt": "cookie-session",
    "key_derivation": "hmac",
    "digest_method": lazy_sha1,
}
key_lists = st.lists(st.text(min_size=1, max_size=90) | st.binary(min_size=1), min_size=1).map(
    tuple
)


@contextmanager
def at(now: int) -> Iterator[None]:
    """Set the time of all signers."""
    with patch.object(TimestampSigner, "get_timestamp", lambda signer: now):
        yield


def ours(secret_keys: tuple[Any, ...] = ("key",), **changes: Any) -> SigningSerializer:
    """Return what the shipped interface signs with."""
    return make_signing(secret_keys, **{**USUAL, **changes}, serializer=TAGGED, json=JSON)


def theirs(secret_keys: tuple[Any, ...] = ("key",), **changes: Any) -> Any:
    """Return what itsdangerous makes of the same keys and settings."""
    kwargs = {**USUAL, **changes}
    return URLSafeTimedSerializer(
        list(secret_keys),
        salt=kwargs.pop("salt"),
        serializer=through(TAGGED, JSON),
        signer_kwargs=kwargs,
    )


TAGGED = TaggedJSONSerializer()


@given(sessions, key_lists, settings, st.integers(1, 2**33))
@example({"n": 1}, ("key",), USUAL, NOW)
@example({"a": "x" * 5000}, ("key",), USUAL, NOW)
@example({"user_id": "42", "_fresh": True, "_id": "0123456789abcdef" * 8}, ("k",), USUAL, NOW)
def test_both_write_the_same_cookie_and_read_it(
    session: dict[str, Any], secret_keys: tuple[Any, ...], changes: dict[str, Any], now: int
) -> None:
    """Twice, as the second time much is kept from the first."""
    one, other = ours(secret_keys, **changes), theirs(secret_keys, **changes)
    for second in (now, now, now + 1):
        with at(second):
            text = one.dumps(session)
            assert text == other.dumps(session)
            assert one.loads(text, max_age=1) == other.loads(text, max_age=1)


def outcome(signing: Any, text: Any, **kwargs: Any) -> Any:
    """Return what was read, or all that is known of the error."""
    try:
        return signing.loads(text, **kwargs)
    except BadData as error:
        return type(error), str(error), getattr(error, "payload", None)


changed_texts = st.tuples(
    st.integers(0, 200), st.integers(0, 3), st.text("AQw9-_=.\n é\ud800", max_size=3)
)


@given(sessions, changed_texts, st.sampled_from([None, 0, 5, 9]), st.integers(-2, 9))
def test_a_changed_cookie_is_refused_in_the_same_way(
    session: dict[str, Any], change: tuple[int, int, str], max_age: int | None, age: int
) -> None:
    """With the same error, or read in spite of it: base64 has more than one form."""
    secret_keys = ("old", "new")
    one, other = ours(secret_keys), theirs(secret_keys)
    start, removed, added = change
    with at(NOW):
        for signer in (one, ours(("old",)), ours(("foreign",))):
            whole = signer.dumps(session)
            text = whole[:start] + added + whole[start + removed :]
            for each in (whole, text):
                with at(NOW + age):
                    try:
                        expected = outcome(other, each, max_age=max_age)
                    except UnicodeEncodeError:
                        with pytest.raises(UnicodeEncodeError):
                            one.loads(each, max_age=max_age)
                    else:
                        assert outcome(one, each, max_age=max_age) == expected


@pytest.mark.parametrize("payload", [b"", b".", b"e30", b"!", b".e30", b"bm8", b".eJwr", b"a.b"])
@pytest.mark.parametrize("stamp", [b"a0nSAA", b"a0nSA", b"a0nSA=", b"------", b"a", b"\xff" * 6])
def test_what_is_signed_but_no_session_is_refused_in_the_same_way(
    payload: bytes, stamp: bytes
) -> None:
    """Another program may have signed it with the same key and salt."""
    signer = ours().make_signer()
    signed = payload + b"." + stamp
    text = signed + b"." + signer.get_signature(signed)
    for form in (text, text.decode("latin-1")):
        with at(NOW):
            assert outcome(ours(), form) == outcome(theirs(), form)


def test_bytes_timestamps_and_other_salts_are_left_to_itsdangerous() -> None:
    """And give the same."""
    one, other = ours(), theirs()
    with at(NOW):
        text = one.dumps({"a": 1})
        for form in (text, text.encode()):
            expected = other.loads(form, return_timestamp=True)
            assert one.loads(form, return_timestamp=True) == expected
        salted = one.dumps({"a": 1}, salt="other")
        assert salted == other.dumps({"a": 1}, salt="other")
        assert one.loads(salted, salt="other") == {"a": 1}
        assert one.make_signer().sign("text") == other.make_signer().sign("text")


@given(st.binary(max_size=270) | st.text("abc{", max_size=260).map(str.encode))
@example(b"a" * 11)
@example(b"a" * 250)
@example(bytes(range(256)) + b"a")
def test_a_text_is_compressed_as_with_the_usual_window(text: bytes) -> None:
    """Whatever its length; and one that cannot become shorter is not tried."""
    usual = zlib.compress(text)
    assert _compress(text) == (usual if len(usual) < len(text) - 1 else None)


def test_no_text_of_eleven_bytes_becomes_shorter() -> None:
    """Not even one that has the same byte throughout."""
    for size in range(12):
        assert len(zlib.compress(b"a" * size)) >= size - 1

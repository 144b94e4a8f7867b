import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.webhooks import VerificationError, new_secret, verify
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.signing import read_secret, sign

# The vector in the test suites of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
NOW = 1614265330


def secret_of(length):
    return "whsec_" + b64encode(bytes(range(length))).decode()


def test_the_published_vector():
    """Everybody's signature of the same message is the same."""
    assert sign([read_secret(SECRET)], ID, 1614265330, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_secret_signs():
    """During a change of secrets, receivers with either secret can verify."""
    old, new = read_secret(SECRET), read_secret(secret_of(32))
    both = sign([new, old], ID, 1, BODY)["webhook-signature"]
    alone = [sign([one], ID, 1, BODY)["webhook-signature"] for one in (new, old)]
    assert both.split(" ") == alone


def test_an_id_without_full_stops():
    """With one, the same signature would be of another message."""
    with pytest.raises(ValueError, match="no full stop"):
        sign([read_secret(SECRET)], "msg_1.2", 1, BODY)


def test_new_secrets_are_secrets():
    """Each is another one, and valid."""
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(read_secret(one)) == 32


@pytest.mark.parametrize("length", [24, 64])
def test_the_lengths_of_the_specification(length):
    """From 192 to 512 bits."""
    assert read_secret(secret_of(length)) == bytes(range(length))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3cr3t", "begins with 'whsec_'"),
        (b"whsec_abc", "begins with 'whsec_'"),
        ("whsec_s3cr3t!", "is base64"),
        (SECRET + "s", "is base64"),
        (secret_of(23), "this one has 23"),
        (secret_of(65), "this one has 65"),
        ("whsec_", "this one has 0"),
    ],
)
def test_what_is_no_secret_is_refused(text, message):
    """The message has the reason and no part of the secret."""
    with pytest.raises(TaskSetupError, match=message) as caught:
        read_secret(text)
    assert "s3cr3t" not in str(caught.value)


def test_settings_show_no_secret():
    """Their representation may be in a log."""
    assert "whsec_" not in repr(WebhookSettings(secrets=[SECRET]))


@pytest.mark.parametrize(
    "given",
    [
        {"secrets": SECRET},
        {"secrets": ["short"]},
        {"timeout": 0},
        {"max_threads": -1},
        {"per_host": 0},
        {"max_answer": 0},
        {"max_answer": "4096"},
    ],
)
def test_settings_that_make_no_sense_are_refused(given):
    """Before anything is sent."""
    with pytest.raises(TaskSetupError):
        WebhookSettings(**given)


def signed(body=BODY, secret=SECRET, at=NOW, **changed):
    headers = sign([read_secret(secret)], "msg_1", at, body)
    return {**headers, **{f"webhook-{name}": value for name, value in changed.items()}}


def test_what_is_right_is_read():
    """The body comes back as a dict."""
    assert verify(BODY, signed(), SECRET, now=NOW) == {"test": 2432232314}


def test_the_clock_is_asked():
    """Without a given time, the clock is read."""
    assert verify(BODY, signed(at=int(time.time())), [SECRET])


@pytest.mark.parametrize(
    "headers",
    [
        {name.title(): value for name, value in signed().items()},
        Headers(list(signed().items())),
        {**signed(), "content-type": "application/json"},
    ],
    ids=["title", "werkzeug", "more"],
)
def test_headers_as_they_come(headers):
    """In any case, of any kind of mapping."""
    assert verify(BODY.decode(), headers, SECRET, now=NOW)


def test_one_signature_of_several_is_enough():
    """Others may be of another version, or with another secret."""
    right = signed()["webhook-signature"]
    wrong = signed(secret=new_secret())["webhook-signature"]
    given = signed(signature=f"v1a,xyz {wrong} nonsense {right} v2,{right[3:]}")
    assert verify(BODY, given, SECRET, now=NOW)


def test_one_secret_of_several_is_enough():
    """While they are changed."""
    assert verify(BODY, signed(), [new_secret(), SECRET], now=NOW)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_a_clock_may_be_off(age):
    """By the tolerance, either way."""
    assert verify(BODY, signed(), SECRET, now=NOW + age)
    assert verify(BODY, signed(), SECRET, now=NOW + 2 * age, tolerance=600)


@pytest.mark.parametrize(("age", "words"), [(-301, "from now"), (301, "ago"), (10**9, "replay")])
def test_old_and_early_callbacks_are_refused(age, words):
    """They may be replayed."""
    with pytest.raises(VerificationError, match=words):
        verify(BODY, signed(), SECRET, now=NOW + age)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "msg_2"},
        {"id": ""},
        {"timestamp": str(NOW + 1)},
        {"timestamp": f"{NOW} "},
        {"signature": "v1,"},
        {"signature": ""},
        {"signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="},
        {"signature": signed()["webhook-signature"][3:]},
        {"signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {"signature": "v1,\udc80"},
        {"id": "\udc80"},
    ],
    ids=str,
)
def test_what_was_changed_is_refused(change):
    """Each of the three parts is signed, or is the signature. Nothing of it is shown."""
    with pytest.raises(VerificationError) as caught:
        verify(BODY, signed(**change), SECRET, now=NOW)
    assert SECRET not in str(caught.value)
    assert signed()["webhook-signature"][3:] not in str(caught.value)


def test_a_body_that_was_read_and_written_again_is_refused():
    """The message says what to pass instead."""
    with pytest.raises(VerificationError, match=r"request\.get_data\(\)"):
        verify(b'{"test":2432232314}', signed(), SECRET, now=NOW)


def test_another_secret_is_refused():
    """It is another sender's."""
    with pytest.raises(VerificationError):
        verify(BODY, signed(), new_secret(), now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_or_double_is_named(name):
    """There must be one of each."""
    headers = signed()
    with pytest.raises(VerificationError, match=f"{name}.*has 2"):
        verify(BODY, {**headers, name.upper(): "x"}, SECRET, now=NOW)
    del headers[name]
    with pytest.raises(VerificationError, match=f"{name}.*has 0"):
        verify(BODY, headers, SECRET, now=NOW)


@pytest.mark.parametrize("timestamp", ["1e9", "-5", "", "٣", "9" * 13, "5.0"])
def test_a_timestamp_is_digits(timestamp):
    """Even a signed one that is not is refused."""
    headers = signed()
    from dewar.tasks.webhooks.signing import signature

    headers["webhook-timestamp"] = timestamp
    headers["webhook-signature"] = signature(read_secret(SECRET), "msg_1", timestamp, BODY)
    with pytest.raises(VerificationError, match="not a number of seconds"):
        verify(BODY, headers, SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"[1]", b"", b"{", b"\xff", b"null"])
def test_a_body_is_a_json_object(body):
    """Anything else is not of a sender of this kind."""
    with pytest.raises(VerificationError, match="not a JSON object"):
        verify(body, signed(body), SECRET, now=NOW)


@pytest.mark.parametrize("secrets", [[], ["nonsense"], "nonsense"])
def test_the_receivers_own_mistake_is_another_error(secrets):
    """It is not to be answered with 400."""
    with pytest.raises(TaskSetupError):
        verify(BODY, signed(), secrets, now=NOW)


@given(st.dictionaries(st.sampled_from(list(signed())), st.text(max_size=20)), st.binary())
def test_nothing_makes_it_fail_otherwise(headers, body):
    """Any input is accepted or raises `VerificationError`."""
    with pytest.raises(VerificationError):
        verify(body, {**signed(at=1), **headers}, SECRET, now=NOW)

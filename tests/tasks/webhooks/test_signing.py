from base64 import b64encode

import pytest

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.webhooks import new_secret
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.signing import read_secret, sign

# The vector in the test suites of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


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
    """While secrets are changed, those who have either can verify."""
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
    """The message says why and shows nothing of it."""
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
    ],
)
def test_settings_that_make_no_sense_are_refused(given):
    """Before anything is sent."""
    with pytest.raises(TaskSetupError):
        WebhookSettings(**given)

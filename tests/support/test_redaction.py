"""What of a URL does not go into a log."""

import time
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.support.redaction import secret_names, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "id_token", "refresh_token", "password", "passwd", "secret",
        "client_secret", "api_key", "apikey", "key", "code", "signature", "sig", "session", "auth",
        "jwt", "pwd", "TOKEN", "accessToken", "X-Amz-Signature", "user[password]", "password_2",
        "reset-token", "jsessionid", "session_id", "sid", "csrfmiddlewaretoken", "%74oken",
        "to%6ben", "api%5fkey", "+token", "X-Amz-Security-Token", "X-Goog-Credential",
    ],
)  # fmt: skip
def test_a_secret_parameter_has_no_value(name: str) -> None:
    """However its name is written, and wherever it stands."""
    for before, after in [
        ("/x?", ""),
        ("/x?a=1&", "&b=2"),
        ("/x;", "?a=1"),
        ("https://h/#", "&b=2"),
    ]:
        shown = without_secrets(f"{before}{name}=hunter2?c&d{after}")
        assert "hunter2" not in shown
        assert shown.startswith(f"{before}{name}=***")


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/token/password",
        "/x?page=2&sort=name",
        "/x?author=me&monkey=1&design=2&codec=h264&keyboard=de",
        "/x?token",
        "/x?next=%2Fcart%3Fpage%3D2",
        "/a@b?c=d",
        "https://example.org/x?y=1#z",
        "*",
        "-",
    ],
)
def test_what_is_not_secret_stays(url: str) -> None:
    """Down to the last character."""
    assert without_secrets(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pass@example.org/x", "https://example.org/x"),
        ("https://me@example.org", "https://example.org"),
        ("http://a@b@c/", "http://c/"),
        ("//me:pass@example.org/", "//example.org/"),
        ("https://u:p@h/?token=a&b=c#jwt=d", "https://h/?token=***&b=c#jwt=***"),
        ("/in?next=/reset?token=abc&page=1", "/in?next=/reset?token=***&page=1"),
        ("/in?next=%2Freset%3Ftoken%3Dabc&page=1", "/in?next=***&page=1"),
        ("/in?next=%252Freset%253Ftoken%253Dabc", "/in?next=***"),
    ],
)
def test_user_information_and_inner_urls(url: str, shown: str) -> None:
    """A user's name and password go, and so does what is secret inside a parameter."""
    assert without_secrets(url) == shown


@given(st.lists(st.tuples(st.sampled_from(["page", "token", "password", "q"]), st.text())))
def test_no_value_of_a_secret_is_left(parameters: list[tuple[str, str]]) -> None:
    """Whatever the parameters are, those with harmless names keep their values."""
    marked = [(name, f"Z{quote(value)}Z{n}") for n, (name, value) in enumerate(parameters)]
    shown = without_secrets(f"/x?{urlencode(marked)}")
    expected = [
        f"{name}=***" if name in ("token", "password") else urlencode([(name, value)])
        for name, value in marked
    ]
    assert shown == f"/x?{'&'.join(expected)}"


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text_will_do(text: str) -> None:
    """It never fails, and doing it twice changes nothing more."""
    once = without_secrets(text)
    assert without_secrets(once) == once


def test_the_time_it_takes_grows_with_the_length_alone() -> None:
    """No target within the limits takes long: no exponential search, no deep recursion."""
    began = time.perf_counter()
    for piece in ("?a=", "%25", "&", "?", "=%3D", "@/", "x=%2525", "/"):
        without_secrets("/?a=" + piece * (65536 // len(piece)))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "X-Forwarded-Authorization", "Cookie", "Cookie2",
        "X-Api-Key", "X-API-KEY", "Api-Key", "X-Auth-Token", "X-Auth-Key", "X-Auth", "X-Access-Key",
        "X-Amz-Security-Token", "X-Amzn-Oidc-Accesstoken", "X-CSRF-Token", "X-CSRFToken",
        "X-XSRF-TOKEN", "X-Csrf", "X-Session-Id", "X-Vault-Token", "Private-Token", "X-Secret",
        "X-Hub-Signature-256", "X-Goog-Iap-Jwt-Assertion", "X-Functions-Key", "X-User-Password",
        "Ocp-Apim-Subscription-Key", "X-Forwarded-Access-Token", "Authorization-Bearer",
    ],
)  # fmt: skip
def test_a_header_field_with_credentials_is_known(name: str) -> None:
    """By its name, in WSGI's form too."""
    is_secret = secret_names()
    assert is_secret(name)
    assert is_secret(name.upper().replace("-", "_"))


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Referer", "Origin",
        "X-Request-Id", "Idempotency-Key", "Traceparent", "X-Forwarded-For", "If-None-Match",
        "max_tokens", "author", "keyboard", "monkey", "design", "assign", "state", "passenger_id",
        "compass", "zip_code", "session_count",
    ],
)  # fmt: skip
def test_other_names_are_no_credentials(name: str) -> None:
    """A job needs them."""
    assert not secret_names()(name)


def test_an_app_has_its_own_names() -> None:
    """With stars, in any case, and with any characters between."""
    is_secret = secret_names(("X-Tenant", "*_ssn", "legacy*", "a*z"))
    assert all(map(is_secret, ["x_tenant", "xTenant", "user-ssn", "legacy_id", "a-b-z"]))
    assert not any(map(is_secret, ["tenant", "x_tenants", "ssn2", "a_legacy", "az1", "password"]))
    assert not secret_names(())("password")
    assert secret_names(("*",))("anything")
    assert without_secrets("/?ssn=1&token=2", secret_names(("ssn",))) == "/?ssn=***&token=2"

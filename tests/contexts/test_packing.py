"""What of a request leaves the process with a job: no credentials, wherever they are."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar import Dewar, Tasks, g, request, session
from dewar.contexts.current import maybe_current
from dewar.contexts.portable import BODY_LIMIT, maybe_pack_body, pack_environ, pack_form
from dewar.contexts.snapshot import Snapshot
from dewar.support.redaction import CREDENTIALS, secret_names
from polling import eventually

IS_SECRET = secret_names()
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
SECRET = "SeCrEt42"


def packed(body: bytes, kind: str) -> bytes | None:
    return maybe_pack_body(body, kind, IS_SECRET)


def test_header_fields_and_urls_have_no_credentials() -> None:
    """Fields go; in URLs the values are replaced."""
    environ = {
        "HTTP_HOST": "here",
        "HTTP_X_API_KEY": SECRET,
        "HTTP_X_AUTH_TOKEN": SECRET,
        "HTTP_REFERER": f"https://me:{SECRET}@a.test/x?token={SECRET}&page=2",
        "HTTP_X_ORIGINAL_URL": f"/x?sig={SECRET}",
        "HTTP_ACCEPT": "text/html;q=0.9, */*;q=0.8",
        "QUERY_STRING": f"page=2&reset_token={SECRET}&next=%2Fin%3Fpassword%3D{SECRET}",
        "REQUEST_URI": f"/x?page=2&api_key={SECRET}",
        "RAW_URI": f"http://me:{SECRET}@a.test/x?page=2&code={SECRET}",
        "PATH_INFO": "/token=1/x",
    }
    assert pack_environ(environ, IS_SECRET) == {
        "HTTP_HOST": "here",
        "HTTP_REFERER": "https://a.test/x?token=***&page=2",
        "HTTP_X_ORIGINAL_URL": "/x?sig=***",
        "HTTP_ACCEPT": "text/html;q=0.9, */*;q=0.8",
        "QUERY_STRING": "page=2&reset_token=***&next=***",
        "REQUEST_URI": "/x?page=2&api_key=***",
        "RAW_URI": "http://a.test/x?page=2&code=***",
        "PATH_INFO": "/token=1/x",
    }


def test_fields_of_a_form_have_no_credentials() -> None:
    """Those that were parsed, and the body that they come from."""
    assert pack_form([("a", "1"), ("password", SECRET), ("a", "2")], IS_SECRET) == [
        ("a", "1"), ("password", "***"), ("a", "2"),
    ]  # fmt: skip
    assert pack_form(None, IS_SECRET) is None
    assert packed(f"a=1&password={SECRET}&b=%FF".encode(), f"{FORM}; charset=x") == (
        b"a=1&password=***&b=%FF"
    )
    assert packed(b"a=1&b=\xff+%20", FORM) == b"a=1&b=\xff+%20"
    part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\nv\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    assert packed(part % b"note", kind) == part % b"note"
    assert packed(part % b"password", kind) is None


def test_json_has_no_credentials() -> None:
    """At any depth; what has none is the same to the last byte."""
    body = {
        "user": "ada", "password": SECRET, "pin": 1234, "list": [{"apiKey": SECRET}, 1],
        "credentials": {"name": SECRET}, "session": None, "key": True, "max_tokens": 5,
    }  # fmt: skip
    safe = packed(json.dumps(body).encode(), "application/vnd.x+json; charset=utf-8")
    assert json.loads(safe or b"") == {
        "user": "ada", "password": "***", "pin": "***", "list": [{"apiKey": "***"}, 1],
        "credentials": "***", "session": None, "key": True, "max_tokens": 5,
    }  # fmt: skip
    plain = b' { "a" : 1.0, "a": "\\u00e4" } '
    assert packed(plain, JSON) == plain
    assert packed(b'{"pin": "%b", "pin": "***"}' % SECRET.encode(), JSON) == b'{"pin": "***"}'


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 30_000, b'{"password": "x'])
def test_json_that_cannot_be_read_is_not_sent(body: bytes) -> None:
    """It cannot be known to have no secret."""
    assert packed(body, JSON) is None


def test_other_bodies_are_sent_as_they_are() -> None:
    """Up to the limit."""
    assert packed(b"password=x", "text/plain") == b"password=x"
    assert packed(b"", JSON) == b""
    assert packed(b"x" * (BODY_LIMIT + 1), "text/plain") is None
    assert maybe_pack_body(None, JSON, IS_SECRET) is None


names = st.sampled_from(["token", "X-Api-Key", "user[password]", "sig", "client_secret", "pwd"])
values = st.text(st.characters(categories=["L", "N", "P", "Z"]), max_size=8).map(
    lambda text: f"{SECRET}{text}"
)


@given(st.lists(st.tuples(names, values), min_size=1), st.dictionaries(st.text(), st.text()))
def test_no_value_of_a_credential_is_left(
    secrets: list[tuple[str, str]], others: dict[str, str]
) -> None:
    """Wherever the fields stand, with whatever between them."""
    fields = [*others.items(), *secrets]
    encoded = urlencode(fields, errors="surrogatepass")
    nested = json.dumps({"a": [dict(fields), {"b": dict(secrets)}]}).encode()
    for safe in (
        pack_environ({"QUERY_STRING": encoded}, IS_SECRET)["QUERY_STRING"].encode(),
        packed(encoded.encode(), FORM),
        packed(nested, JSON),
        repr(pack_form(fields, IS_SECRET)).encode(),
    ):
        assert safe is not None
        assert SECRET.encode() not in safe


def test_a_job_reads_what_was_left() -> None:
    """The query, the form and JSON have marks; the fields of the header are not there."""
    app = Dewar("shop")
    app.secret_key = "k"
    body = {"password": SECRET, "page": 2}
    with app.test_request_context(
        f"/?token={SECRET}&page=2", method="POST", json=body, headers={"X-Api-Key": SECRET}
    ):
        request.get_data()
        plain = json.loads(json.dumps(maybe_current()._dewar_snapshot().portable(IS_SECRET)))
        snapshot = Snapshot.from_portable(app, plain)

    def job() -> None:
        assert request.args.to_dict() == {"token": "***", "page": "2"}
        assert request.json == {"password": "***", "page": 2}
        assert "X-Api-Key" not in request.headers

    snapshot.run(job, (), {})


def ask(app: Dewar, **more: Any) -> None:
    client = app.test_client()
    client.set_cookie("session", SECRET)
    headers = {
        "Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "X-Tenant": SECRET,
        "Referer": f"https://a.test/?token={SECRET}",
    }  # fmt: skip
    assert client.post(f"/go?reset_token={SECRET}", headers=headers, **more).text == "ok"


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"password": SECRET, "note": "n"}},
        {"json": {"auth": {"user": SECRET}, "note": "n"}},
        {"data": {"password": SECRET}, "content_type": "multipart/form-data"},
    ],
    ids=["form", "json", "multipart"],
)
@pytest.mark.parametrize("how", ["configured", "given"])
def test_a_ledger_keeps_no_credentials(tmp_path: Path, sent: dict[str, Any], how: str) -> None:
    """In none of its files, with a name that the app adds; what the program puts in stays."""
    app = Dewar("shop")
    app.secret_key = "k"
    own = {"credentials": [*CREDENTIALS, "x-tenant"]}
    if how == "configured":
        app.config["TASKS_CREDENTIALS"] = own["credentials"]
    tasks = Tasks(
        app, ledger=tmp_path / "jobs.sqlite", run_jobs=False, **(own if how == "given" else {})
    )

    @tasks.task()
    def work() -> None:
        """Never run here."""

    @app.post("/go")
    def go() -> str:
        request.get_data()
        request.form.to_dict()
        session["cart"] = "InTheSession"
        g.cart = "InG"
        work.submit()
        return "ok"

    ask(app, **sent)
    text = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    tasks.stop()
    assert b"InTheSession" in text
    assert b"InG" in text
    assert SECRET.encode() not in text


def test_an_app_may_keep_everything(tmp_path: Path) -> None:
    """With an empty list, for jobs that call others in the client's name."""
    app = Dewar("shop")
    seen: list[str | None] = []
    tasks = Tasks(app, ledger=tmp_path / "jobs.sqlite", credentials=[], threads=1)

    @tasks.task()
    def work() -> None:
        seen.append(request.headers.get("X-Api-Key"))

    @app.post("/go")
    def go() -> str:
        work.submit()
        return "ok"

    ask(app)
    eventually(lambda: bool(seen), lambda: "the job has run")
    tasks.stop()
    assert seen == [SECRET]

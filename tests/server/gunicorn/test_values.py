"""Values of gunicorn's settings, as gunicorn reads them, become those of ours."""

import ssl
from contextlib import suppress
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.util import parse_address
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from certificates import Certificates
from dewar.server.errors import SettingsError
from dewar.server.gunicorn.config_file import GunicornFile
from dewar.server.gunicorn.values import address, number, switch
from dewar.server.settings.settings import Settings
from dewar.server.settings.sources import Configuration


def settings_of(**given: object) -> Settings:
    """Return the settings that a file gives, as the command gets them."""
    return Configuration(GunicornFile("gunicorn.conf.py", given).values()).settings()


@pytest.mark.parametrize(
    ("given", "ours", "value"),
    [
        ({"bind": "0.0.0.0:80"}, "bind", "0.0.0.0:80"),
        (
            {"bind": ["10.0.0.1:80", "unix:/run/shop.sock"]},
            "bind",
            "10.0.0.1:80,unix:/run/shop.sock",
        ),
        ({"bind": "unix:///run/shop.sock"}, "bind", "unix:/run/shop.sock"),
        ({"bind": "fd://3"}, "bind", "fd://3"),
        ({"bind": "[::1]:80"}, "bind", "[::1]:80"),
        ({"bind": ":9000"}, "bind", "0.0.0.0:9000"),
        ({"bind": "shop.example"}, "bind", "shop.example:8000"),
        ({"workers": "4"}, "processes", 4),
        ({"workers": 3}, "processes", 3),
        ({}, "threads", 1),
        ({"threads": 8}, "threads", 8),
        ({"worker_class": "gthread"}, "threads", 1),
        ({"worker_class": "gevent"}, "threads", 64),
        ({"worker_class": "gevent", "threads": 9}, "threads", 9),
        ({"worker_class": "gunicorn.workers.geventlet.EventletWorker"}, "threads", 64),
        ({"timeout": 120}, "worker_timeout", 120),
        ({"timeout": 0}, "worker_timeout", 0),
        ({"graceful_timeout": 9}, "graceful_timeout", 9),
        ({"keepalive": 5}, "keep_alive", 5),
        ({"backlog": 64}, "backlog", 64),
        ({"max_requests": 1000}, "max_requests", 1000),
        ({"max_requests_jitter": "50"}, "max_requests_jitter", 50),
        ({"limit_request_line": 0}, "max_request_line", 65536),
        ({"limit_request_line": 4094}, "max_request_line", 4094),
        ({"limit_request_fields": 50}, "max_header_count", 50),
        ({"limit_request_fields": 0}, "max_header_count", 32768),
        ({"limit_request_field_size": 8190}, "max_header_bytes", 65536),
        ({"limit_request_field_size": 100000}, "max_header_bytes", 100000),
        ({"preload_app": True}, "preload", True),
        ({"preload_app": "false"}, "preload", False),
        ({"chdir": "/srv/shop"}, "chdir", "/srv/shop"),
        ({"pidfile": "/run/shop.pid"}, "pid_file", "/run/shop.pid"),
        ({"pidfile": None}, "pid_file", None),
        ({"pidfile": ""}, "pid_file", None),
        ({"chdir": ""}, "chdir", None),
        ({"certfile": "", "keyfile": ""}, "certfile", None),
        ({"accesslog": None}, "access_log", False),
        ({"accesslog": "-"}, "access_log", True),
        ({"accesslog": "/var/log/a"}, "access_log_file", "/var/log/a"),
        ({"access_log_format": '%(h)s "%(r)s"'}, "access_log_format", "combined"),
        ({"access_log_format": '{"host": "%(h)s"}'}, "access_log_format", "json"),
        ({"umask": 0o117}, "unix_mode", "660"),
        ({"umask": "0o27"}, "unix_mode", "640"),
        ({}, "unix_mode", "666"),
        ({"proxy_protocol": True}, "trusted_hosts", "127.0.0.1,::1,unix"),
        ({"proxy_protocol": "v2", "proxy_allow_ips": "10.0.0.1"}, "trusted_hosts", "10.0.0.1,unix"),
        ({"proxy_protocol": "off"}, "proxy_protocol", False),
        ({"forwarded_allow_ips": "*"}, "trusted_hosts", ""),
    ],
)
def test_a_value_is_translated(given: dict[str, object], ours: str, value: object) -> None:
    """What is not given stays our default, but for what a program depends on."""
    assert getattr(settings_of(**given), ours) == value


@pytest.mark.parametrize(
    "given",
    [
        {"bind": "a:b:c"},
        {"bind": "127.0.0.1:port"},
        {"bind": 8000},
        {"workers": "many"},
        {"workers": 0},
        {"timeout": -1},
        {"timeout": object()},
        {"preload_app": "perhaps"},
        {"umask": "rwx"},
        {"umask": "022"},
        {"umask": -1},
        {"umask": 0o1000},
        {"ssl_context": "context"},
        {"keepalive": [1]},
        {"limit_request_fields": None, "backlog": 0},
    ],
)
def test_an_invalid_value_is_refused(given: dict[str, object]) -> None:
    """Whoever gives it, it is a `SettingsError` and nothing else."""
    with pytest.raises(SettingsError):
        settings_of(**given)


@settings(deadline=None)
@for_all(
    st.sampled_from(["bind", "workers", "timeout", "umask", "preload_app", "threads", "accesslog"]),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.binary(),
)
def test_any_value_is_translated_or_refused(name: str, value: object) -> None:
    """No other error comes out."""
    with suppress(SettingsError):
        assert settings_of(**{name: value})


@pytest.mark.parametrize("kind", ["uvicorn.workers.UvicornWorker", "asgi"])
def test_a_worker_for_asgi_is_refused(kind: str) -> None:
    """The app would get arguments that it does not understand."""
    with pytest.raises(SettingsError, match="serves WSGI"):
        settings_of(worker_class=kind)


@settings(deadline=None)
@for_all(st.from_regex(r"\A([a-z0-9.]{1,9}|\[::1\])?(:[1-9][0-9]{0,4})?\Z").filter(bool))
def test_an_address_is_that_of_gunicorn(text: str) -> None:
    """With its host and its port where it leaves them out; gunicorn looks at names later."""
    host, port = parse_address(text)
    shown = f"[{host}]" if ":" in host else host or "0.0.0.0"  # "" means the same to the system
    assert address(text) == f"{shown}:{port}"


@pytest.mark.parametrize("text", ["4", "0x10", " 7 ", "0o17"])
def test_a_number_is_read_as_gunicorn_reads_it(text: str) -> None:
    """From text in any base of Python's."""
    config = Config()
    config.set("backlog", text.strip())
    assert number(text) == config.backlog


@pytest.mark.parametrize("text", ["true", "True", " FALSE ", "false"])
def test_a_switch_is_read_as_gunicorn_reads_it(text: str) -> None:
    """From text."""
    config = Config()
    config.set("daemon", text)
    assert switch(text) is config.daemon


def test_files_make_a_context_only_if_more_is_asked_for(certificates: Certificates) -> None:
    """Of ciphers, of clients that may leave their certificate out, or a hook that makes it."""
    files = certificates.pair()
    assert settings_of(**files).certfile == files["certfile"]
    with_ciphers = settings_of(**files, ciphers="ECDHE+AESGCM")
    assert with_ciphers.ssl_context is not None
    assert with_ciphers.certfile is None
    optional = settings_of(
        **files, cert_reqs=ssl.CERT_OPTIONAL, ca_certs=certificates.path("ca.pem")
    )
    assert optional.ssl_context is not None
    assert optional.ssl_context.verify_mode is ssl.CERT_OPTIONAL
    required = settings_of(**files, cert_reqs=2, ca_certs=certificates.path("ca.pem"))
    assert required.client_ca == certificates.path("ca.pem")
    ignored = settings_of(**files, cert_reqs=0, ca_certs=certificates.path("ca.pem"))
    assert ignored.client_ca is None

    def stricter(config: object, make: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = make()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    made = settings_of(**files, ssl_context=stricter)
    assert made.ssl_context is not None
    assert made.ssl_context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_context_that_cannot_be_made_is_refused(certificates: Certificates) -> None:
    """As an error of the settings."""
    with pytest.raises(SettingsError, match="NO-SUCH-CIPHER"):
        settings_of(**certificates.pair(), ciphers="NO-SUCH-CIPHER")


def no_context(_config: object, make: Any) -> None:
    """Forget to return what is made."""
    make()


def wrong_file(config: Any, _make: Any) -> ssl.SSLContext:
    """Look at the settings as at those of gunicorn."""
    assert config.keyfile
    assert config.ca_certs is None
    context = ssl.create_default_context()
    context.load_cert_chain(f"{config.certfile}.no")
    return context


@pytest.mark.parametrize("hook", [no_context, wrong_file])
def test_a_function_that_makes_no_context_is_refused(hook: Any, certificates: Certificates) -> None:
    """The server would serve without TLS."""
    with pytest.raises(SettingsError, match="context"):
        settings_of(**certificates.pair(), ssl_context=hook)

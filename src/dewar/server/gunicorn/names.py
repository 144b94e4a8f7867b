"""The names of gunicorn's settings, and what each is here.

One table is behind the reading of files, the hints of the command line and the page of the
reference, which a test compares with it.
"""

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What becomes of a setting of gunicorn."""

    SETTING = "gives a setting of ours"
    APPLIED = "is applied when the file is read"
    HOOK = "is called"
    NEEDLESS = "has no effect, because nothing is left to choose"
    MISSING = "has no counterpart, which a warning says"


@dataclass(frozen=True, slots=True)
class GunicornName:
    """One setting of gunicorn.

    Attributes:
        name: Its name in a file.
        flags: Its spellings on gunicorn's command line.
        fate: What becomes of it.
        ours: What to write on our command line instead; empty if there is nothing.
        note: What differs, or why it has no counterpart.
    """

    name: str
    flags: tuple[str, ...]
    fate: Fate
    ours: str
    note: str


def _setting(name: str, flags: str, ours: str, note: str = "") -> GunicornName:
    return GunicornName(name, tuple(flags.split()), Fate.SETTING, ours, note)


def _applied(name: str, flags: str, note: str, ours: str = "") -> GunicornName:
    return GunicornName(name, tuple(flags.split()), Fate.APPLIED, ours, note)


def _hook(name: str, note: str) -> GunicornName:
    return GunicornName(name, (), Fate.HOOK, "", note)


def _needless(flags: dict[str, str], note: str) -> tuple[GunicornName, ...]:
    return tuple(
        GunicornName(name, tuple(each.split()), Fate.NEEDLESS, "", note)
        for name, each in flags.items()
    )


def _missing(flags: dict[str, str], note: str) -> tuple[GunicornName, ...]:
    return tuple(
        GunicornName(name, tuple(each.split()), Fate.MISSING, "", note)
        for name, each in flags.items()
    )


_SETTINGS = (
    _setting("bind", "--bind -b", "--bind", "a list too; without a host it is 0.0.0.0"),
    _setting("backlog", "--backlog", "--backlog"),
    _setting("workers", "--workers -w", "--processes"),
    _setting("threads", "--threads", "--threads", "1 if a file does not say it"),
    _setting(
        "worker_class", "--worker-class -k", "--threads",
        "requests run on threads; a file that says gevent or eventlet alone gets 64",
    ),
    _setting("max_requests", "--max-requests", "--max-requests"),
    _setting("max_requests_jitter", "--max-requests-jitter", "--max-requests-jitter"),
    _setting("timeout", "--timeout", "--worker-timeout"),
    _setting("graceful_timeout", "--graceful-timeout", "--graceful-timeout"),
    _setting("keepalive", "--keep-alive", "--keep-alive"),
    _setting("limit_request_line", "--limit-request-line", "--max-request-line"),
    _setting("limit_request_fields", "--limit-request-fields", "--max-header-count"),
    _setting(
        "limit_request_field_size", "--limit-request-field_size", "--max-header-bytes",
        "the limit is for all fields together, 64 KiB or more",
    ),
    _setting("preload_app", "--preload", "--preload"),
    _setting("chdir", "--chdir", "--chdir"),
    _setting("pidfile", "--pid", "--pid-file"),
    _setting("certfile", "--certfile", "--certfile"),
    _setting("keyfile", "--keyfile", "--keyfile"),
    _setting("ca_certs", "--ca-certs", "--client-ca", "with cert_reqs"),
    _setting("cert_reqs", "--cert-reqs", "--client-ca", "as ssl.CERT_OPTIONAL or CERT_REQUIRED"),
    _setting("ciphers", "--ciphers", "", "a program gives ssl_context=… to run()"),
    _setting("ssl_context", "", "", "called to make the context of each server"),
    _setting("proxy_protocol", "--proxy-protocol", "--proxy-protocol"),
    _setting("proxy_allow_ips", "--proxy-allow-from", "--trusted-hosts", "with proxy_protocol"),
    _setting("accesslog", "--access-logfile", "--access-log-file", "'-' is --access-log"),
    _setting(
        "access_log_format", "--access-logformat", "--access-log-format",
        "combined, or json if it begins with a brace",
    ),
    _setting("umask", "--umask -m", "--unix-mode", "the mode of UNIX sockets is 666 less the mask"),
)  # fmt: skip

_APPLIED = (
    _applied("wsgi_app", "", "unless the command names an app", "MODULE:APP"),
    _applied("reload", "", "needs watchfiles", "--reload"),
    _applied("reload_extra_files", "--reload-extra-file", "watched by the reloader"),
    _applied("raw_env", "--env", "set the variable before the command: NAME=value dewar run"),
    _applied("pythonpath", "--pythonpath", "set PYTHONPATH before the command"),
    _applied("proc_name", "--name -n", "the name in the banner and in process titles"),
    _applied("user", "--user -u", "for workers; let the service manager choose the user"),
    _applied("group", "--group -g", "for workers; let the service manager choose the group"),
    _applied("initgroups", "--initgroups", "with user; else workers keep no other group"),
    _applied("daemon", "--daemon -D", "let the service manager start it in the background"),
    _applied(
        "forwarded_allow_ips",
        "--forwarded-allow-ips",
        "for secure_scheme_headers alone; see below",
        "--trusted-hosts",
    ),
    _applied("secure_scheme_headers", "", "sets the scheme of the URL, as gunicorn does"),
    _applied("errorlog", "--error-logfile --log-file", "the loggers gunicorn.error, dewar.server"),
    _applied("loglevel", "--log-level", "of the loggers gunicorn.error, dewar.server"),
    _applied("logconfig", "--log-config", "see logconfig_dict"),
    _applied("logconfig_json", "--log-config-json", "see logconfig_dict"),
    _applied(
        "logconfig_dict", "", "gunicorn.error is for dewar.server, gunicorn.access for access"
    ),
    _applied("capture_output", "--capture-output", "if errorlog is a file"),
)

_HOOKS = (
    _hook("on_starting", "(server)"),
    _hook("when_ready", "(server)"),
    _hook("nworkers_changed", "(server, new, old)"),
    _hook("pre_fork", "(server, worker)"),
    _hook("post_fork", "(server, worker), in the worker"),
    _hook("post_worker_init", "(worker), in the worker"),
    _hook("pre_request", "(worker, request), in the worker"),
    _hook("post_request", "(worker, request, environ, response), in the worker"),
    _hook("worker_int", "(worker), in the worker"),
    _hook("worker_abort", "(worker), in the worker"),
    _hook("worker_exit", "(server, worker), in the worker"),
    _hook("child_exit", "(server, worker)"),
    _hook("on_reload", "(server)"),
    _hook("on_exit", "(server)"),
)

_NEEDLESS = (
    *_needless({"worker_connections": "--worker-connections"}, "max_connections is 16384"),
    *_needless({"worker_tmp_dir": "--worker-tmp-dir"}, "heartbeats are in shared memory"),
    *_needless({"sendfile": "--no-sendfile", "reuse_port": "--reuse-port"}, "chosen by the server"),
    *_needless({"reload_engine": "--reload-engine"}, "the system reports changes"),
    *_needless(
        {
            "suppress_ragged_eofs": "--suppress-ragged-eofs",
            "do_handshake_on_connect": "--do-handshake-on-connect",
            "ssl_version": "--ssl-version",
        },
        "TLS 1.2 or newer, and no handshake holds a thread",
    ),
    *_needless(
        {"enable_stdio_inheritance": "--enable-stdio-inheritance -R"}, "workers share the streams"
    ),
    *_needless({"default_proc_name": "", "config": ""}, "proc_name counts"),
    *_needless(
        {
            "control_socket": "--control-socket",
            "control_socket_mode": "--control-socket-mode",
            "control_socket_disable": "--no-control-socket",
        },
        "there is no such socket; signals control the server",
    ),
    *_needless({"check_config": "--check-config"}, "a file is always checked"),
    *_needless({"print_config": "--print-config"}, "--print-settings does"),
    *_needless({"http_parser": "--http-parser"}, "there is one parser"),
)

_MISSING = (
    *_missing({"pre_exec": ""}, "the server does not replace its own process (SIGUSR2)"),
    *_missing({"logger_class": "--logger-class"}, "logging is set up with logconfig_dict"),
    *_missing(
        {
            "syslog": "--log-syslog",
            "syslog_addr": "--log-syslog-to",
            "syslog_prefix": "--log-syslog-prefix",
            "syslog_facility": "--log-syslog-facility",
            "disable_redirect_access_to_syslog": "--disable-redirect-access-to-syslog",
        },
        "use logconfig_dict with a logging.handlers.SysLogHandler",
    ),
    *_missing(
        {
            "statsd_host": "--statsd-host",
            "statsd_prefix": "--statsd-prefix",
            "dogstatsd_tags": "--dogstatsd-tags",
            "enable_backlog_metric": "--enable-backlog-metric",
        },
        "--metrics serves statistics for Prometheus",
    ),
    *_missing({"spew": "--spew"}, "it traces every line"),
    *_missing({"tmp_upload_dir": ""}, "set TMPDIR"),
    *_missing(
        {
            "paste": "--paste --paster",
            "raw_paste_global_conf": "--paste-global",
        },
        "name a function that makes the app: 'module:make_app()'",
    ),
    *_missing(
        {
            "forwarder_headers": "--forwarder-headers",
            "header_map": "--header-map",
            "permit_obsolete_folding": "--permit-obsolete-folding",
            "strip_header_spaces": "--strip-header-spaces",
            "permit_unconventional_http_method": "--permit-unconventional-http-method",
            "permit_unconventional_http_version": "--permit-unconventional-http-version",
            "casefold_http_method": "--casefold-http-method",
        },
        "the parser has one strict mode",
    ),
    *_missing({"root_path": "--root-path"}, "--script-name is the path that the app is mounted at"),
    *_missing(
        {"protocol": "--protocol", "uwsgi_allow_ips": "--uwsgi-allow-from"},
        "the server speaks HTTP: let the proxy use proxy_pass",
    ),
    *_missing(
        {
            "http_protocols": "--http-protocols",
            "http2_cleartext": "--http2-cleartext",
            "http2_max_concurrent_streams": "--http2-max-concurrent-streams",
            "http2_initial_window_size": "--http2-initial-window-size",
            "http2_max_frame_size": "--http2-max-frame-size",
            "http2_max_header_list_size": "--http2-max-header-list-size",
        },
        "the server speaks HTTP/1.1",
    ),
    *_missing(
        {
            "asgi_loop": "--asgi-loop",
            "asgi_lifespan": "--asgi-lifespan",
            "asgi_disconnect_grace_period": "--asgi-disconnect-grace-period",
            "websocket_max_message_size": "--websocket-max-message-size",
        },
        "the server serves WSGI applications",
    ),
    *_missing(
        {
            "dirty_apps": "--dirty-app",
            "dirty_workers": "--dirty-workers",
            "dirty_timeout": "--dirty-timeout",
            "dirty_threads": "--dirty-threads",
            "dirty_graceful_timeout": "--dirty-graceful-timeout",
            "on_dirty_starting": "",
            "dirty_post_fork": "",
            "dirty_worker_init": "",
            "dirty_worker_exit": "",
        },
        "background jobs are dewar.Tasks",
    ),
)

#: Every setting of gunicorn 27, by its name.
GUNICORN: dict[str, GunicornName] = {
    each.name: each for each in (*_SETTINGS, *_APPLIED, *_HOOKS, *_NEEDLESS, *_MISSING)
}

"""uWSGI's options, and what to write instead; the reference has the same table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UwsgiOption:
    """What stands for an option of uWSGI.

    Attributes:
        ours: What to write on our command line; empty if there is nothing to write.
        note: What differs, or why there is nothing to write.
    """

    ours: str = ""
    note: str = ""


_ALWAYS = "always so"
_PROXY = "in the proxy: proxy_pass instead of uwsgi_pass, because the server speaks HTTP"
_SERVICE = "the service manager does this"

#: The options by their names in an INI file; on a command line they begin with two dashes.
UWSGI: dict[str, UwsgiOption] = {
    "http": UwsgiOption("--bind", "host and port: 0.0.0.0:8000"),
    "http-socket": UwsgiOption("--bind"),
    "https": UwsgiOption("--bind", "with --certfile and --keyfile"),
    "socket": UwsgiOption("--bind unix:/path", _PROXY),
    "uwsgi-socket": UwsgiOption("--bind unix:/path", _PROXY),
    "chmod-socket": UwsgiOption("--unix-mode"),
    "listen": UwsgiOption("--backlog"),
    "module": UwsgiOption("MODULE:APP"),
    "wsgi-file": UwsgiOption("folder/file.py:APP"),
    "callable": UwsgiOption("MODULE:APP", "the part behind the colon"),
    "mount": UwsgiOption("--mount"),
    "workers": UwsgiOption("--processes"),
    "processes": UwsgiOption("--processes"),
    "threads": UwsgiOption("--threads"),
    "cheaper": UwsgiOption("--processes", "the number is fixed; SIGTTIN and SIGTTOU change it"),
    "master": UwsgiOption("", f"{_ALWAYS} with --processes 2 or more"),
    "enable-threads": UwsgiOption("", _ALWAYS),
    "single-interpreter": UwsgiOption("", _ALWAYS),
    "need-app": UwsgiOption("", _ALWAYS),
    "die-on-term": UwsgiOption("", f"{_ALWAYS}: SIGTERM stops the server"),
    "vacuum": UwsgiOption("", f"{_ALWAYS}: sockets and pid files are removed"),
    "thunder-lock": UwsgiOption("", "not needed: a connection wakes one process"),
    "lazy-apps": UwsgiOption("", f"{_ALWAYS}, unless --preload is given"),
    "lazy": UwsgiOption("", f"{_ALWAYS}, unless --preload is given"),
    "gevent": UwsgiOption("--threads", "requests run on threads"),
    "harakiri": UwsgiOption("--worker-timeout", "counts if no thread of a process comes back"),
    "max-requests": UwsgiOption("--max-requests"),
    "reload-mercy": UwsgiOption("--graceful-timeout"),
    "worker-reload-mercy": UwsgiOption("--graceful-timeout"),
    "buffer-size": UwsgiOption("--max-header-bytes"),
    "limit-post": UwsgiOption("--max-body"),
    "post-buffering": UwsgiOption("--buffered-body"),
    "http-timeout": UwsgiOption("--body-timeout", "and --write-timeout"),
    "http-keepalive": UwsgiOption("--keep-alive"),
    "touch-reload": UwsgiOption("", "send SIGHUP; no request fails"),
    "py-autoreload": UwsgiOption("--reload"),
    "chdir": UwsgiOption("--chdir"),
    "pidfile": UwsgiOption("--pid-file"),
    "env": UwsgiOption("", "set the variable before the command: NAME=value dewar run"),
    "pythonpath": UwsgiOption("", "set PYTHONPATH before the command"),
    "virtualenv": UwsgiOption("", "run the dewar command of that environment"),
    "home": UwsgiOption("", "run the dewar command of that environment"),
    "uid": UwsgiOption("", _SERVICE),
    "gid": UwsgiOption("", _SERVICE),
    "daemonize": UwsgiOption("", _SERVICE),
    "logto": UwsgiOption("--access-log-file", "errors go to standard error"),
    "disable-logging": UwsgiOption("--no-access-log", "the default"),
    "stats": UwsgiOption("--metrics"),
    "static-map": UwsgiOption("", "in the proxy, or with the app's static folder"),
    "ini": UwsgiOption("--config", "a TOML file, or one of gunicorn"),
}

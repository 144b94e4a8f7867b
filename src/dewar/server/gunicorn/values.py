"""The values of gunicorn's settings as values of ours. No I/O, but for the files of TLS."""

import re
import ssl
from collections.abc import Callable, Iterable, Mapping

from dewar.server.errors import SettingsError
from dewar.server.gunicorn.views import settings_view
from dewar.server.settings.proxy_checks import UNIX
from dewar.server.system.tls import make_context

Given = Mapping[str, object]
#: For each setting of ours its value, and the setting of gunicorn that it comes from.
Translated = dict[str, tuple[object, str]]

#: gunicorn's defaults, which say what a program was written for.
HOSTS = "127.0.0.1,::1"
_PORT = 8000
_HEADER_BYTES = 65536
_MOST_FIELDS = 32768
# A worker class that runs requests in greenlets has many at a time.
_GREENLETS = 64
_THREADS = frozenset({"sync", "gthread", "gunicorn.workers.sync.SyncWorker"})
_GREEN = re.compile(r"gevent|eventlet|tornado", re.IGNORECASE)
_ASGI = re.compile(r"uvicorn|asgi|hypercorn", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:tcp://)?(\[[^\]]*\]|[^:\[\]]*)(?::(\d+))?")
# What a function ssl_context may look at besides what the file has.
_TLS_DEFAULTS: Given = {
    "ca_certs": None, "cert_reqs": ssl.CERT_NONE, "ciphers": None, "keyfile": None,
}  # fmt: skip
_TLS_HOOK = "def ssl_context(conf, make): context = make(); …; return context"
_ON, _OFF = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no", ""})


def number(value: object) -> object:
    """Return the int that a text stands for, as gunicorn reads it; anything else as it is."""
    try:
        return int(value, 0) if isinstance(value, str) else value
    except ValueError:
        return value


def switch(value: object) -> object:
    """Return the bool that a text stands for; anything else as it is."""
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _ON:
        return True
    return False if word in _OFF else value


def flag(given: Given, name: str) -> bool:
    """Return a setting that is on or off; off if it is not given.

    Raises:
        SettingsError: It is neither.
    """
    found = switch(given.get(name) or False)
    if not isinstance(found, bool):
        raise SettingsError(f"{name}={found!r} must be True or False.", name)
    return found


def listed(name: str, value: object) -> list[str]:
    """Return the parts of a text with commas, or of a list, each without blanks.

    Raises:
        SettingsError: The value of the setting *name* is neither.
    """
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise SettingsError(f"{name}={value!r} must be a text with commas, or a list.", name)
    return [str(part).strip() for part in parts if str(part).strip()]


def address(text: str) -> str:
    """Return one of gunicorn's addresses as one of ours.

    Raises:
        SettingsError: It is not valid.
    """
    if text.startswith("unix:"):
        return f"unix:{re.sub('^unix:(//)?', '', text)}"
    if text.startswith("fd://"):
        return text
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"bind={text!r} is not an address. Write '127.0.0.1:8000', '[::1]:8000' or"
            " 'unix:/path', or a list of these.",
            "bind",
        )
    return f"{found[1] or '0.0.0.0'}:{found[2] or _PORT}"  # noqa: S104 - gunicorn's default


def _addresses(value: object) -> object:
    return ",".join(map(address, listed("bind", value)))


def _path(value: object) -> object:
    return str(value) or None  # gunicorn takes "" for none


def _request_line(value: object) -> object:
    return number(value) or _HEADER_BYTES  # 0 is no limit, and the limit of the head is left


def _field_count(value: object) -> object:
    return number(value) or _MOST_FIELDS  # 0 is gunicorn's own limit


def _field_size(value: object) -> object:
    found = number(value)
    return max(found, _HEADER_BYTES) if isinstance(found, int) else found


def _log_format(value: object) -> object:
    return "json" if str(value).lstrip().startswith("{") else "combined"


def maybe_umask(value: object) -> int | None:
    """Return the mask of the setting ``umask``; None if it is not given.

    Raises:
        SettingsError: It is no mask. A text of digits could be taken for the mode itself.
    """
    mask = number(value)
    if mask is not None and not (isinstance(mask, int) and 0 <= mask <= 0o777):
        raise SettingsError(
            f"umask={value!r} must be a number from 0 to 0o777, such as 0o022 or '0o022'.", "umask"
        )
    return None if mask is None else int(mask)


def _mode(value: object) -> object:
    return f"{0o666 & ~(maybe_umask(value) or 0):03o}"


#: For each setting of gunicorn ours, and what makes the value.
_RULES: dict[str, tuple[str, Callable[[object], object]]] = {
    "bind": ("bind", _addresses),
    "backlog": ("backlog", number),
    "workers": ("processes", number),
    "max_requests": ("max_requests", number),
    "max_requests_jitter": ("max_requests_jitter", number),
    "timeout": ("worker_timeout", number),
    "graceful_timeout": ("graceful_timeout", number),
    "keepalive": ("keep_alive", number),
    "limit_request_line": ("max_request_line", _request_line),
    "limit_request_fields": ("max_header_count", _field_count),
    "limit_request_field_size": ("max_header_bytes", _field_size),
    "preload_app": ("preload", switch),
    "chdir": ("chdir", _path),
    "pidfile": ("pid_file", _path),
    "certfile": ("certfile", _path),
    "keyfile": ("keyfile", _path),
    "access_log_format": ("access_log_format", _log_format),
    "umask": ("unix_mode", _mode),
}


def translate(given: Given) -> Translated:
    """Return our settings for what a file of gunicorn gives.

    Raises:
        SettingsError: A value is not valid, or asks for what the server does not do. A value that
            is merely out of range is left to `Settings`.
    """
    found: Translated = {}
    for name, (ours, convert) in _RULES.items():
        if given.get(name) is not None:
            found[ours] = convert(given[name]), name
    found.setdefault("unix_mode", ("666", "umask"))
    found["threads"] = _threads(given), "threads" if "threads" in given else "worker_class"
    found.update(_access_log(given))
    found.update(_proxy_protocol(given))
    found.update(_tls(given))
    return found


def worker_class(given: Given) -> str:
    """Return the name of the worker class."""
    kind = given.get("worker_class") or "sync"
    return kind if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))


def has_own_worker(given: Given) -> bool:
    """Return whether the worker class runs requests on something other than threads."""
    return worker_class(given) not in _THREADS


def _threads(given: Given) -> object:
    kind = worker_class(given)
    if _ASGI.search(kind):
        raise SettingsError(
            f"worker_class={kind!r} serves ASGI applications, and this server serves WSGI"
            " applications. Leave worker_class out if the app is one, such as a Flask app.",
            "worker_class",
        )
    threads = number(given.get("threads"))
    if _GREEN.search(kind) and threads in (None, 1):
        return _GREENLETS
    return 1 if threads is None else threads


def _access_log(given: Given) -> Translated:
    path = given.get("accesslog")
    if path in (None, ""):
        return {}
    if path == "-":
        return {"access_log": (True, "accesslog")}
    return {"access_log": (True, "accesslog"), "access_log_file": (str(path), "accesslog")}


def _proxy_protocol(given: Given) -> Translated:
    # gunicorn 24 and newer name a version: v1, v2 or auto.
    mode = given.get("proxy_protocol") or False
    if switch(mode) is False:
        return {}
    hosts = ",".join([*listed("proxy_allow_ips", given.get("proxy_allow_ips") or HOSTS), UNIX])
    return {
        "proxy_protocol": (True, "proxy_protocol"),
        "trusted_hosts": (hosts, "proxy_allow_ips"),
    }


def _tls(given: Given) -> Translated:
    """Return the settings of TLS: files if they say it all, else a context."""
    certfile, hook = given.get("certfile") or None, given.get("ssl_context") or None
    if hook is not None and not callable(hook):
        raise SettingsError(f"ssl_context={hook!r} must be a function: {_TLS_HOOK}", "ssl_context")
    required = _verify_mode(given)
    authorities = given.get("ca_certs") if required else None
    plain = hook is None and not given.get("ciphers") and required != ssl.CERT_OPTIONAL
    if certfile is None or plain:
        return {} if authorities is None else {"client_ca": (str(authorities), "ca_certs")}

    def make() -> ssl.SSLContext:
        context = make_context(str(certfile), _maybe_text(given.get("keyfile")))
        if given.get("ciphers"):
            _set_ciphers(context, str(given["ciphers"]))
        if authorities is not None:
            context.load_verify_locations(str(authorities))
            context.verify_mode = required
        return context

    try:
        made = make() if hook is None else _hooked_context(hook, given, make)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(f"The context for TLS cannot be made: {error}", "certfile") from error
    # The context replaces the files.
    files = {name: (None, name) for name in ("certfile", "keyfile")}
    return {**files, "ssl_context": (made, "certfile" if hook is None else "ssl_context")}


def _hooked_context(
    hook: Callable[..., object], given: Given, make: Callable[[], ssl.SSLContext]
) -> ssl.SSLContext:
    """Return the context that the function of the file makes.

    SECURITY: if it returns nothing, the server must not serve without TLS.
    """
    context = hook(settings_view({**_TLS_DEFAULTS, **given}), make)
    if not isinstance(context, ssl.SSLContext):
        raise SettingsError(
            f"ssl_context returns {context!r}, which is no ssl.SSLContext: {_TLS_HOOK}",
            "ssl_context",
        )
    return context


def _set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError as error:
        raise SettingsError(
            f"ciphers={ciphers!r} has no cipher that TLS knows here. Name some: 'openssl ciphers'"
            " lists them.",
            "ciphers",
        ) from error


def _verify_mode(given: Given) -> ssl.VerifyMode:
    try:
        # An enum looks up any object.
        return ssl.VerifyMode(number(given.get("cert_reqs") or 0))  # type: ignore[arg-type]
    except ValueError:
        raise SettingsError(
            f"cert_reqs={given['cert_reqs']!r} must be ssl.CERT_NONE, CERT_OPTIONAL or"
            " CERT_REQUIRED.",
            "cert_reqs",
        ) from None


def _maybe_text(value: object) -> str | None:
    return str(value) if value else None

"""`GunicornFile`: what a configuration file of gunicorn says.

It gives the settings of this server (`values`) and what to tell the user (`warnings`). In the
process that serves, `prepare` acts, `hooks` are for ``run``, and `wrapped` adds middleware.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from dewar.server.errors import SettingsError
from dewar.server.gunicorn.background import detach
from dewar.server.gunicorn.hooks import GunicornHooks, read_hooks
from dewar.server.gunicorn.logs import set_up_logs
from dewar.server.gunicorn.names import GUNICORN, Fate
from dewar.server.gunicorn.request_hooks import RequestHooks
from dewar.server.gunicorn.secure_scheme import FIELDS, with_secure_scheme
from dewar.server.gunicorn.values import (
    HOSTS,
    flag,
    has_own_worker,
    listed,
    maybe_umask,
    translate,
    worker_class,
)
from dewar.server.gunicorn.views import ServerView, settings_view
from dewar.server.gunicorn.worker_user import WorkerUser
from dewar.server.proxies.middleware import Application
from dewar.server.proxies.trusted_hosts import TrustedHosts
from dewar.server.settings.proxy_checks import UNIX
from dewar.server.settings.settings import Settings
from dewar.server.settings.sources import GivenValue, SettingSource, SourceValues


class GunicornFile:
    """What a file of gunicorn says.

    Args:
        path: Its name, for messages.
        given: Its settings by gunicorn's names.
        script_name: The variable ``SCRIPT_NAME``: the path that the app is mounted at.
        has_command: Whether ``GUNICORN_CMD_ARGS`` is set, which is not read.

    Raises:
        SettingsError: A setting is not valid.

    Attributes:
        reload: Whether the server restarts when the code changes; None if the file does not say.
        extra_files: More files for which it restarts.
    """

    def __init__(
        self,
        path: str,
        given: Mapping[str, object],
        *,
        script_name: str = "",
        has_command: bool = False,
    ) -> None:
        self._path = path
        self._given = given
        self._has_command = has_command
        variables = given.get("raw_env") or []
        variables = [variables] if isinstance(variables, str) else listed("raw_env", variables)
        self._environ = dict(_pair(text) for text in variables)
        self._translated = translate(given)
        script_name = self._environ.get("SCRIPT_NAME", script_name)
        if script_name:
            self._translated["script_name"] = script_name.rstrip("/"), "SCRIPT_NAME"
        self._functions = read_hooks(given)
        self._user = WorkerUser(given)
        self._trusted_hosts = _trusted_hosts(given)
        self._scheme_fields = _scheme_fields(given)
        self._import_path = listed("pythonpath", given.get("pythonpath") or "")
        self._is_daemon = flag(given, "daemon")
        self.reload = flag(given, "reload") if "reload" in given else None
        self.extra_files = listed("reload_extra_files", given.get("reload_extra_files") or [])

    def __repr__(self) -> str:
        return f"<GunicornFile {self._path} with {', '.join(self._given) or 'no settings'}>"

    @property
    def target(self) -> str | None:
        """The app that the file names."""
        return self._text("wsgi_app")

    @property
    def name(self) -> str | None:
        """The name of the app in the banner and in process titles, if the file gives one."""
        return self._text("proc_name")

    def values(self) -> SourceValues:
        """Return the settings of this server that the file gives; None stands for none."""
        return {
            ours: GivenValue(value, SettingSource.FILE, f"{self._path}, {theirs}")
            for ours, (value, theirs) in self._translated.items()
            if value is not None
        }

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of setting that does not work as under gunicorn."""
        found = []
        missing = _missing(self._given)
        if missing:
            found.append(
                f"{self._path} has settings without a counterpart, and no effect: {missing}."
            )
        if has_own_worker(self._given):
            threads = self._translated["threads"][0]
            found.append(
                f"worker_class={worker_class(self._given)!r}: requests run on {threads} threads in"
                " each process. To have more or fewer, set threads."
            )
        form = self._given.get("access_log_format")
        if form:
            used = self._translated["access_log_format"][0]
            found.append(f"access_log_format is not read: the lines have the format {used!r}.")
        if self._has_command:
            found.append("GUNICORN_CMD_ARGS is not read. Give its options to 'dewar run'.")
        return found

    def prepare(self) -> None:
        """Make this process one that serves: environment, import path, umask, logs.

        With ``daemon`` it continues in the background.

        Raises:
            SettingsError: Logs cannot be set up, or the system cannot fork workers.
        """
        if not hasattr(os, "fork"):
            raise SettingsError(
                f"{self._path} is for a server with workers, which needs a system that forks, and"
                " this one cannot. Write the settings as dewar.toml: --print-settings."
            )
        os.environ.update(self._environ)
        sys.path[:0] = self._import_path
        mask = maybe_umask(self._given.get("umask"))
        if mask is not None:
            os.umask(mask)
        if self._is_daemon:
            detach()
        set_up_logs(self._given)

    def hooks(self, settings: Settings, name: str) -> GunicornHooks:
        """Return the hooks for a server with *settings* that serves the app *name*."""
        cfg = settings_view(
            self._given,
            bind=settings.bind.split(","),
            workers=settings.processes,
            threads=settings.threads,
            timeout=settings.worker_timeout,
            graceful_timeout=settings.graceful_timeout,
            proc_name=name,
        )
        return GunicornHooks(self._functions, ServerView(cfg, name), self._user)

    def wrapped(
        self, load: Callable[[], Application], hooks: GunicornHooks, settings: Settings
    ) -> Callable[[], Application]:
        """Return *load* with the middleware that the file needs.

        The server's own ``trusted_hosts`` replaces ``secure_scheme_headers``.
        """
        before, after = (self._functions.get(name) for name in ("pre_request", "post_request"))

        def load_wrapped() -> Application:
            app = load()
            if before is not None or after is not None:
                app = RequestHooks(app, before, after, lambda: hooks.worker)
            if settings.trusted_hosts:
                return app
            return with_secure_scheme(app, self._trusted_hosts, self._scheme_fields)

        return load_wrapped

    def _text(self, name: str) -> str | None:
        value = self._given.get(name)
        return str(value) if value else None


def _missing(given: Mapping[str, object]) -> str:
    """Return the settings that have no counterpart, each with the reason, and "" for none."""
    reasons: dict[str, list[str]] = {}
    for name, value in given.items():
        if value and GUNICORN[name].fate is Fate.MISSING:
            reasons.setdefault(GUNICORN[name].note, []).append(name)
    return "; ".join(f"{', '.join(names)} ({note})" for note, names in reasons.items())


def _trusted_hosts(given: Mapping[str, object]) -> TrustedHosts:
    name = "forwarded_allow_ips"
    hosts = listed(name, given.get(name) or HOSTS)
    try:
        return TrustedHosts([*hosts, UNIX])
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}", name) from error


def _scheme_fields(given: Mapping[str, object]) -> Mapping[str, str]:
    name = "secure_scheme_headers"
    fields: Any = given.get(name)
    if fields is None:
        return FIELDS
    if not isinstance(fields, Mapping):
        example = "{'X-Forwarded-Proto': 'https'}"
        raise SettingsError(f"{name}={fields!r} must be a dict, such as {example}.", name)
    for text in (*fields, *fields.values()):
        if not isinstance(text, str):
            raise SettingsError(f"{name}: {text!r} must be a text.", name)
    return fields


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign or "\0" in text:
        raise SettingsError(f"raw_env: {text!r} must be 'NAME=value'.", "raw_env")
    return name, value

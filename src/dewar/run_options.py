"""`RunOptions`: the arguments of Werkzeug's `run_simple`, and which of them have no effect."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from dewar.server.reload import is_reloaded
from dewar.server.settings.settings import SETTINGS
from dewar.support.near_match import did_you_mean

#: Arguments without an effect: the reason, and what to use instead.
WITHOUT_EFFECT: Mapping[str, str] = {
    "request_handler": "Dewar's server has no request handlers. Set access_log for the log, and"
    " wrap the app in WSGI middleware to see each request.",
    "passthrough_errors": "the server logs what an app raises, and serves on. Set"
    " PROPAGATE_EXCEPTIONS in the app's configuration.",
    "reloader_type": "the system reports changes. Leave it out.",
    "reloader_interval": "the system reports changes. Leave it out.",
}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of Werkzeug's `run_simple`, which `app.run()` takes too."""

    use_reloader: bool | None = None
    use_debugger: bool | None = None
    use_evalex: bool = True
    extra_files: Iterable[str] | None = None
    exclude_patterns: Iterable[str] | None = None
    reloader_interval: float = 1
    reloader_type: str = "auto"
    threaded: bool = True
    processes: int = 1
    request_handler: type | None = None
    static_files: Mapping[str, str | tuple[str, str]] | None = None
    passthrough_errors: bool = False
    ssl_context: Any = None


def take_options(
    given: Mapping[str, Any], call: str, stacklevel: int
) -> tuple[RunOptions, dict[str, Any]]:
    """Return the options of `run_simple` and the server's settings among keyword arguments.

    One warning names all arguments that have no effect.

    Args:
        given: The keyword arguments.
        call: The function that they were given to, for the warning.
        stacklevel: As for `warnings.warn`, seen from the caller of this.
    """
    names = {field.name for field in fields(RunOptions)}
    known = names | {setting.name for setting in SETTINGS}
    options = RunOptions(**{name: given[name] for name in names & given.keys()})
    ignored = [
        f"{name}: {reason}"
        for name, reason in WITHOUT_EFFECT.items()
        if getattr(options, name) != getattr(RunOptions, name)
    ]
    ignored += [
        f"{name}: there is no such setting.{did_you_mean(name, known)}"
        for name in sorted(given.keys() - known)
    ]
    if ignored and not is_reloaded():  # the process that watches the code has said it
        warnings.warn(
            f"{call} ignores {' And '.join(ignored)}", RuntimeWarning, stacklevel=stacklevel + 1
        )
    return options, {name: given[name] for name in given.keys() & known - names}

"""`AppFinder`: the way to an app from another process, and back."""

import sys
from importlib import import_module
from threading import RLock
from typing import Any, Protocol

from dewar.tasks.errors import TaskSetupError


class NamedApp(Protocol):
    """What an app has to know of itself to be found."""

    import_name: str

    @property
    def name(self) -> str:
        """What it is called."""


def app_path(app: NamedApp) -> str:
    """Return ``module:attribute``, by which another process finds the app.

    Raises:
        TaskSetupError: If no attribute of the app's module is the app.
    """
    module = sys.modules.get(app.import_name)
    for name, value in vars(module).items() if module is not None else ():
        # By its type first: what is compared may be a proxy that is unbound.
        if type(value) is type(app) and value is app:
            return f"{app.import_name}:{name}"
    raise TaskSetupError(
        f"The app {app.name!r} cannot be found again from another process: no attribute of the"
        f" module {app.import_name!r} is the app. Keep it in one (app = create_app()), or say how"
        ' it is made: TaskPool(..., app="module:create_app()")'
    )


class AppFinder:
    """Finds apps by their paths; what a path's function makes is made once in each process."""

    def __init__(self) -> None:
        # Reentrant: making an app may run a job of another.
        self._lock = RLock()
        self._made: dict[str, Any] = {}

    def find(self, path: str) -> Any:
        """Return the app.

        Args:
            path: ``module:attribute`` or ``module:function()``.

        Raises:
            TaskSetupError: If there is no such module or attribute.
        """
        if not path.endswith("()"):
            return _attribute(path)
        with self._lock:
            if path not in self._made:
                self._made[path] = _attribute(path.removesuffix("()"))()
            return self._made[path]

    def __repr__(self) -> str:
        return f"<AppFinder of {sorted(self._made)}>"


def _attribute(path: str) -> Any:
    module, colon, names = path.partition(":")
    if not colon:
        raise TaskSetupError(f"{path!r} names no app. Write 'module:app' or 'module:make_app()'.")
    try:
        found: Any = import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise TaskSetupError(
            f"The job's app {path!r} cannot be found in this process ({error}). The module must be"
            " importable here as it is where the job was submitted"
            + (", and __main__ is another program here." if module == "__main__" else ".")
        ) from error
    return found

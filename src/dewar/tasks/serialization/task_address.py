"""Finding an app and a task in another process or on another machine, and their addresses."""

import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from threading import RLock
from typing import Any

from dewar.tasks.errors import TaskSetupError, UnknownTask

#: The name under which an app keeps its `Tasks` among its extensions.
EXTENSION = "dewar.tasks"


@dataclass(frozen=True, slots=True)
class TaskAddress:
    """The address of a task.

    Attributes:
        task: Its name.
        app: The path of its app, ``module:app`` or ``module:factory()``; None without an app.
        module: The module of its function.
        qualname: The name of its function there.
    """

    task: str
    app: str | None
    module: str
    qualname: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def find_task(address: TaskAddress) -> Any:
    """Return the task in this process; import its module if necessary.

    Raises:
        UnknownTask: If there is no such task.
        TaskSetupError: If its app is not found.
    """
    if address.app is not None:
        tasks = finder.find(address.app).extensions.get(EXTENSION)
        found = None if tasks is None else tasks.maybe_task(address.task)
        where = f"the app {address.app}"
    else:
        found = import_module(address.module)
        for name in address.qualname.split("."):
            found = getattr(found, name, None)
        where = f"{address.module}:{address.qualname}"
    # What has the name there may be the function itself: function, not @tasks.task() function.
    if getattr(found, "name", None) != address.task:
        raise UnknownTask(
            f"There is no task {address.task!r} in {where} in this process. It must be declared by"
            " @tasks.task() above its function, when the module is imported, in this process too."
        )
    return found


def app_path(app: Any) -> str:
    """Return ``module:attribute``, by which another process finds the app.

    Raises:
        TaskSetupError: If no attribute of the app's module is the app.
    """
    module = sys.modules.get(app.import_name)
    for name, value in vars(module).items() if module is not None else ():
        # The type first: the value may be an unbound proxy, which cannot be compared.
        if type(value) is type(app) and value is app:
            return f"{app.import_name}:{name}"
    raise TaskSetupError(
        f"The app {app.name!r} cannot be found from another process: no attribute of the"
        f" module {app.import_name!r} is the app. Write app = Dewar(__name__) in it, or say where"
        " the app is, or the function that makes it: Tasks(app, app='module:create_app()'), which"
        " TASKS_APP sets too, or TaskPool(..., app='module:app')."
    )


class AppFinder:
    """Finds apps by their paths. An app that a function makes is made once in each process."""

    def __init__(self) -> None:
        # Reentrant: making an app may run a job of another app.
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


# One for each process, as the modules are in which it finds the apps.
finder = AppFinder()


def _attribute(path: str) -> Any:
    module, colon, names = path.partition(":")
    if not colon:
        raise TaskSetupError(
            f"{path!r} is not the path of an app. Write 'module:app' or 'module:make_app()'."
        )
    try:
        found: Any = import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise TaskSetupError(
            f"The job's app {path!r} cannot be found in this process ({error}). The module must be"
            " importable here as well as where the job was submitted"
            + (", and __main__ is another program here." if module == "__main__" else ".")
        ) from error
    return found

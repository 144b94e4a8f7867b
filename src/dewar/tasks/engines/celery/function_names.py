"""The names in Celery messages: of functions, apps and classes; and which of them are allowed.

SECURITY: anyone who can write to the broker can name any function with any arguments. So a name is
checked before anything is imported. It must be in a module or package that the worker allows, no
part of it may be private, and it must be the name under which a plain function was defined. So the
imports of a module cannot be reached (``myapp.jobs:os.system``).

Packed values name classes of dataclasses and enums, and unpacking them imports the modules of the
classes. In messages, only classes of modules that are already imported or allowed are accepted.
"""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from importlib import import_module
from inspect import getattr_static
from types import FunctionType, ModuleType
from typing import Any

from dewar.tasks.errors import NotSupported, UnknownTask, Unreadable

#: The function that runs a task of a ledger. Its first arguments are the task's address and packed
#: arguments.
STORED_TASK = "dewar.tasks.engines.execution:perform_remote"

_CLASS_TAGS = ("$dataclass", "$enum")


def importable_name(function: Callable[..., Any]) -> str:
    """Return ``module:qualname``, the name by which `resolve` finds a function.

    Raises:
        NotSupported: If it cannot be found by name, like a lambda or a method of an object.
    """
    module = getattr(function, "__module__", None) or ""
    qualname = getattr(function, "__qualname__", None) or ""
    name = f"{module}:{qualname}"
    if _is_public(name) and _find(name) is function:
        return name
    raise NotSupported(
        "celery",
        f"run {function!r}",
        "A Celery worker finds a function by its name: define it with def at the top of a module"
        " that the worker can import, with a name that has no leading underscore, and give what"
        " it needs as arguments.",
    )


def parse_allowed(text: str) -> frozenset[str]:
    """Return the modules and packages of a list like ``myapp.jobs, reports``."""
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def resolve(name: str, allowed: Iterable[str]) -> Callable[..., Any]:
    """Import a function by its name.

    Args:
        name: A name from `importable_name`.
        allowed: Modules and packages whose public functions may be run.

    Raises:
        UnknownTask: If it is not allowed, or there is no such function.
    """
    if not _is_public(name) or not is_under(name.partition(":")[0], allowed):
        raise UnknownTask(
            f"This worker may not run {name!r}. Allow its module or package when you start the"
            " worker: DEWAR_CELERY_ALLOW=myapp.jobs"
        )
    try:
        import_module(name.partition(":")[0])
    except ImportError as error:
        raise UnknownTask(f"This worker cannot import {name!r}: {error}") from error
    function = _find(name)
    if function is None or not _is_defined_as(function, name):
        raise UnknownTask(f"There is no function {name!r} on this worker. Is its code older?")
    return function


def is_under(module: str, allowed: Iterable[str]) -> bool:
    """Return whether a module is one of these modules, or in one of these packages."""
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed)


def check_app(path: str | None, allowed: Iterable[str]) -> None:
    """Check the path of an app before anything is imported.

    Args:
        path: ``module:app`` or ``module:make_app()``; None for no app.
        allowed: As for `resolve`. A factory must be a function that is defined there.

    Raises:
        UnknownTask: If it is not allowed.
    """
    if path is None:
        return
    if path.endswith("()"):
        resolve(path.removesuffix("()"), allowed)
    elif not _is_public(path) or not is_under(path.partition(":")[0], allowed):
        raise UnknownTask(
            f"This worker may not import the job's app {path!r}. Allow its module when you start"
            " the worker: DEWAR_CELERY_ALLOW=myapp"
        )


def find_function(name: str, args: Sequence[Any], allowed: Iterable[str]) -> Callable[..., Any]:
    """Return the function that a job runs. What this function imports is checked as well.

    Args:
        name: A name from `importable_name`.
        args: The job's arguments. For a task of a ledger, the first is the task's address.
        allowed: As for `resolve`.

    Raises:
        UnknownTask: If it is not allowed, or there is no such function.
    """
    if name != STORED_TASK:
        return resolve(name, allowed)
    address = args[0]
    if address["app"] is not None:
        check_app(str(address["app"]), allowed)
    else:
        resolve(f"{address['module']}:{address['qualname']}", allowed)
    return resolve(name, [name.partition(":")[0]])


def checked_loads(allowed: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a `json.loads` that refuses classes of modules that are neither imported nor allowed.

    PERF: keep the returned function. Making the decoder takes longer than reading a small message.

    Args:
        allowed: Modules and packages that may be imported.
    """

    def check(item: dict[str, Any]) -> dict[str, Any]:
        for tag in _CLASS_TAGS:
            if tag in item and not _may_be_read(item[tag], allowed):
                raise Unreadable(
                    f"A message names the class {item[tag]!r}, whose module is neither imported"
                    " nor allowed in DEWAR_CELERY_ALLOW."
                )
        return item

    return json.JSONDecoder(object_hook=check).decode


def _find(name: str) -> FunctionType | None:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        # Only in the dict of a module or a class: getattr may run code of the module.
        found = vars(found).get(part) if isinstance(found, (ModuleType, type)) else None
    if isinstance(found, FunctionType):
        return found
    # A task has replaced its function under this name, and wraps it.
    wrapped = getattr_static(found, "__wrapped__", None)
    return wrapped if isinstance(wrapped, FunctionType) else None


def _is_public(name: str) -> bool:
    parts = name.replace(":", ".", 1).split(".")
    return all(part.isidentifier() and not part.startswith("_") for part in parts)


def _is_defined_as(function: FunctionType, name: str) -> bool:
    return f"{function.__module__}:{function.__qualname__}" == name


def _may_be_read(content: Any, allowed: Collection[str]) -> bool:
    name = content[0] if isinstance(content, list) and content else None
    module = str(name).partition(":")[0]
    return module in sys.modules or is_under(module, allowed)

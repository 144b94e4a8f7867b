"""Reading values that came through a broker, without importing what a message names.

SECURITY: values name the classes of dataclasses and enums, and reading them imports the classes'
modules. Of what comes from a broker only such classes are read whose modules are imported already
or allowed; a message cannot have any other module imported.
"""

import json
import sys
from collections.abc import Callable, Collection
from typing import Any

from dewar.tasks.engines.celery.function_names import is_under
from dewar.tasks.errors import Unreadable

_NAMING = ("$dataclass", "$enum")


def checked_loads(allowed: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a `json.loads` that refuses classes of modules that are neither imported nor allowed.

    PERF: keep it. To make the decoder takes longer than to read a small message.

    Args:
        allowed: Modules and packages that may be imported.
    """

    def check(item: dict[str, Any]) -> dict[str, Any]:
        for tag in _NAMING:
            if tag in item and not _may_be_read(item[tag], allowed):
                raise Unreadable(
                    f"A message names the class {item[tag]!r}, whose module is not imported here"
                    " and not allowed: DEWAR_CELERY_ALLOW"
                )
        return item

    return json.JSONDecoder(object_hook=check).decode


def _may_be_read(content: Any, allowed: Collection[str]) -> bool:
    name = content[0] if isinstance(content, list) and content else None
    module = str(name).partition(":")[0]
    return module in sys.modules or is_under(module, allowed)

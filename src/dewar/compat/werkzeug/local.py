"""`werkzeug.local`."""

from dewar.isolation.local import Local, release_local
from dewar.isolation.manager import LocalManager
from dewar.isolation.owner import current_ident as get_ident
from dewar.isolation.proxy import LocalProxy
from dewar.isolation.stack import LocalStack

__all__ = [
    "Local",
    "LocalManager",
    "LocalProxy",
    "LocalStack",
    "get_ident",
    "release_local",
]

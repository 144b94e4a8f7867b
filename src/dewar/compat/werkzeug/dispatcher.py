"""`werkzeug.middleware.dispatcher`."""

from dewar.mounting.dispatcher import DispatcherMiddleware

__all__ = [
    "DispatcherMiddleware",
]

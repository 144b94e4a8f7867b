"""`werkzeug.serving.run_simple`."""

from dewar.running import run_simple

__all__ = ["run_simple"]

"""Telling another server that a job has ended, by the Standard Webhooks rules.

What a receiver needs is here: `verify`, which raises `VerificationError`, and `new_secret`.
"""

from dewar.tasks.callbacks.signing import new_secret
from dewar.tasks.callbacks.verifying import verify
from dewar.tasks.errors import VerificationError

__all__ = ["VerificationError", "new_secret", "verify"]

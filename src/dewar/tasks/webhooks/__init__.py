"""Telling another server that a job has ended, by the Standard Webhooks rules.

What a receiver needs is here: `verify`, which raises `VerificationError`, and `new_secret`.
"""

from dewar.tasks.errors import VerificationError
from dewar.tasks.webhooks.signing import new_secret
from dewar.tasks.webhooks.verifying import verify

__all__ = ["VerificationError", "new_secret", "verify"]

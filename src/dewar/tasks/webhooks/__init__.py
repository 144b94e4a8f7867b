"""Webhooks: telling another server that a job has ended, by the Standard Webhooks rules.

A receiver needs `verify`, which raises `VerificationError`, and `new_secret`.
"""

from dewar.tasks.errors import VerificationError
from dewar.tasks.webhooks.signing import new_secret, verify

__all__ = ["VerificationError", "new_secret", "verify"]

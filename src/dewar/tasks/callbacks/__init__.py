"""Telling another server that a job has ended, by the Standard Webhooks rules."""

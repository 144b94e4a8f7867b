"""Calls, values, errors and contexts as text, for another process or the ledger."""

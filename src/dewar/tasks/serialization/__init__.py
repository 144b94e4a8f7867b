"""How calls, values, errors and contexts travel to another process or into the ledger."""

"""The ledger: the record of every accepted job, in a database that outlives the process."""

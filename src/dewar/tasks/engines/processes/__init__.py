"""The engine that runs jobs in child processes, one at a time in each."""

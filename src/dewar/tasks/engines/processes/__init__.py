"""Jobs in child processes, one at a time in each."""

"""What one process does for the tasks of an app: accept, claim, run and record jobs."""

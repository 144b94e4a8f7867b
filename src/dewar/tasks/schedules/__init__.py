"""When the scheduled jobs of tasks are due: pure decisions, for which the caller gives the time."""

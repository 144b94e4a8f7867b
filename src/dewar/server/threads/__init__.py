"""Who runs what: the leader, its followers, the watchdog and the poller."""

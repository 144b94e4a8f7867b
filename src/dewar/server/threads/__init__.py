"""The threads of a server: the leader, its followers, the watchdog and the poller."""

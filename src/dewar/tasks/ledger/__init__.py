"""What is known of every accepted job, in a database that outlives the process."""

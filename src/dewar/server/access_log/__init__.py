"""The access log: lines, secrets, and the file they go to."""

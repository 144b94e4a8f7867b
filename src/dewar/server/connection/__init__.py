"""Connections of clients, and the exchanges on them."""

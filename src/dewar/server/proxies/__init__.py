"""What proxies in front of the server say of the client, and who is trusted to."""

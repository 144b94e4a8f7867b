"""Statistics of the server, and the page of metrics for Prometheus."""

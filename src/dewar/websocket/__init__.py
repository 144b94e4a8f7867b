"""The WebSocket protocol (RFC 6455, RFC 7692) over any transport of asyncio."""

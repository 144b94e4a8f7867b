"""What comes in and what goes out: `Request` and `Response`."""

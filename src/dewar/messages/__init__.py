"""`Request` and `Response`."""

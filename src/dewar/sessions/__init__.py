"""Sessions: what a browser is remembered by, and where that is kept between requests."""

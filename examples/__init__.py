"""Small, complete example apps."""

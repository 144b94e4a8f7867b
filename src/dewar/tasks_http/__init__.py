"""Jobs over HTTP: a blueprint that shows and cancels them."""

"""Where the values of settings come from: flags, variables, a file, and what comes of them."""

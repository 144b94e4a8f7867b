"""What a server can be told: each setting, its kinds, and the sources it comes from."""

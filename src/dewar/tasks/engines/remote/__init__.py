"""What the engines on other machines have in common."""

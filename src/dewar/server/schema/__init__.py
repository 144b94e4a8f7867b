"""The table of settings: what each is called, what it may be, and how it is written as text."""

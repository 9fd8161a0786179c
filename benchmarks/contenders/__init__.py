"""The programs that are compared; each does the same work and is written as its own documentation advises."""

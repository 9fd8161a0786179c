"""Check everything that the daemon needs, and say how to fix each fault."""

"""Microsoft Teams: the envelope, the sender, and its answers."""

"""Microsoft Teams' side: the envelope, the sender and what its answers mean."""

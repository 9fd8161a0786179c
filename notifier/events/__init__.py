"""The contract with producers, and the data that travels through notifier."""

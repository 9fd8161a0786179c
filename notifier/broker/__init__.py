"""Redis streams and nothing else: keys, the atomic hop, leases and rate limits."""

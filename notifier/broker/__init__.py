"""Redis and nothing else: streams, the atomic hop, leases, rate limits."""

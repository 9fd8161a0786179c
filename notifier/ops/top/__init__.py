"""A live view of what waits: looked up in Redis alone, so that it works while Postgres is away."""

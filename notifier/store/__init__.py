"""Postgres and nothing else: the schema, the audit trail and its queries."""

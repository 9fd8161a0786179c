"""Logs, metrics, traces, health, and findings of checks."""

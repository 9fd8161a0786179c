"""Acknowledge notifications, and escalate those that nobody acknowledged."""

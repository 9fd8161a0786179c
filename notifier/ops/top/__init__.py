"""A live view of Redis: entries that wait, their age and the rates."""

"""The timeline of an event through everything, found by any of its ids."""

"""What operators ask: is everything as it must be, where is an event, what happened, what waits."""

"""Dead letters: what could not be delivered, and what people do about it."""

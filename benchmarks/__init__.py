"""What the daemon costs beside the least code that could do its job, and beside what people would use instead."""

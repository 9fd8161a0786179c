"""Compare the daemon with the least code for its job, and with others."""

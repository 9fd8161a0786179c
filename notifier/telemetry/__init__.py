"""What operators see: the log and the state of health."""

"""The admin listener: probes and metrics for everyone, the console for operators."""

"""The admin listener: probes, metrics and the access to the console."""

"""Turn claims-platform events on Redis streams into Microsoft Teams cards."""

"""The operations console: pages for operators on the admin listener."""

"""Cards: load the templates, render a notification, and check what was written."""

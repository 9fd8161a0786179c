"""Cards: load the templates, render notifications, and check templates."""

"""The three stages: intake, delivery, recorder."""

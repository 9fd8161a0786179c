"""The compared programs, each as its own documentation advises."""

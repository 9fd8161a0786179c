"""What is measured, one module each; every measure() returns what goes into the JSON."""

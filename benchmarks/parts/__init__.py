"""One module per measurement; each measure() returns its JSON."""

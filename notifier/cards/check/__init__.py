"""Check card templates before they are used."""

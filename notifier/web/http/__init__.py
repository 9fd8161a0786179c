"""HTTP as every listener needs it: headers, forms, limits, clients and connections."""

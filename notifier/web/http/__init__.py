"""HTTP for all listeners: headers, forms, limits, clients, connections."""

"""A first look: embedded servers, a local Teams and sample traffic."""

"""For integrators and nodes: one typed connection to a hub over mutual TLS 1.3."""

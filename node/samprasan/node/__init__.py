"""An agency's own node: it keeps the agency's deeds and ids, and sends only what subjects consented to share."""

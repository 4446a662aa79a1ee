"""The messages of protocol version 1; the ``.proto`` files beside this one are the authority, the rest is generated."""

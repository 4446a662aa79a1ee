"""The invite file: what a node needs to find its hub, trust it and join it, once.

It pins the hub's certificate authority, so the first connection already knows whom it talks to; its secret is worth
a membership until it is used or expires, so the file is private.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from samprasan.keys.errors import Malformed

INVITE_BYTES_MAX = 16_384
_KEYS = {"samprasan_invite", "agency", "name", "join", "hub", "authority", "secret", "expires_at"}


@dataclass(frozen=True, slots=True, repr=False)
class Invitation:
    """``join`` and ``hub`` are ``HOST:PORT``, ``authority`` is DER, ``expires_at`` in milliseconds since the epoch."""

    agency: str
    name: str
    join: str
    hub: str
    authority: bytes
    secret: bytes
    expires_at: int

    def encode(self) -> bytes:
        """The file's bytes."""
        document = {
            "samprasan_invite": 1,
            "agency": self.agency,
            "name": self.name,
            "join": self.join,
            "hub": self.hub,
            "authority": base64.b64encode(self.authority).decode(),
            "secret": base64.b64encode(self.secret).decode(),
            "expires_at": self.expires_at,
        }
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Invitation":
        """From a file's bytes; else Malformed ``invite_file``."""
        try:
            document = json.loads(data) if len(data) <= INVITE_BYTES_MAX else None
            if not isinstance(document, dict) or set(document) != _KEYS or document["samprasan_invite"] != 1:
                raise ValueError
            authority = base64.b64decode(document["authority"], validate=True)
            secret = base64.b64decode(document["secret"], validate=True)
            agency, name, join, hub = (document[key] for key in ("agency", "name", "join", "hub"))
            if not all(isinstance(text, str) for text in (agency, name, join, hub)):
                raise ValueError
            if not isinstance(document["expires_at"], int):
                raise ValueError
        except (ValueError, TypeError, RecursionError, binascii.Error) as problem:
            raise Malformed("invite_file") from problem
        return cls(agency, name, join, hub, authority, secret, document["expires_at"])

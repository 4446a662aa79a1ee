"""A scanner for people in bytes, and what it has to find."""

import base64
import hashlib

from tests.privacy import THAI, Scanner

DIGITS = "1101700203451"


NAME = "นางสาวสมมติ ใจดี"


SCANNER = Scanner([DIGITS], [NAME])


LEAKS = {
    "plain": DIGITS.encode(),
    "dashed": b"1-1017-00203-45-1",
    "Thai digits": DIGITS.translate(THAI).encode(),
    "Thai digits in cp874": DIGITS.translate(THAI).encode("cp874"),
    "UTF-16": DIGITS.encode("utf-16-le"),
    "hexadecimal": DIGITS.encode().hex().encode(),
    "base64 behind other bytes": base64.b64encode(b"x" + DIGITS.encode() + b"yz"),
    "packed integer": int(DIGITS).to_bytes(8, "little"),
    "SHA-256": hashlib.sha256(DIGITS.encode()).digest(),
    "SHA-256 in hexadecimal": hashlib.sha256(DIGITS.encode()).hexdigest().encode(),
    "hash of the OPRF input": hashlib.sha256(b"samprasan/v1/th-pid/" + DIGITS.encode()).digest(),
    "name": NAME.encode(),
    "name in cp874": NAME.encode("cp874"),
    "name in UTF-16": NAME.encode("utf-16-be"),
    "name in base64": base64.b64encode(NAME.encode()),
    "name escaped in JSON": NAME.encode("unicode_escape"),
}

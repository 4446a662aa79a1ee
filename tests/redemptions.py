"""What somebody asks for at a counter."""

from typing import Any

from samprasan.node.counter.redemption import Wish

from tests.federation import deed

PERSON = deed(1, 1).subject


def wish(number: int = 1, **changes: Any) -> Wish:
    values: dict[str, Any] = {
        "op_key": number.to_bytes(16, "big"),
        "subject": PERSON,
        "owner": "codi",
        "benefit": "rice",
        "authorised_by": "card",
    }
    return Wish(**(values | changes))

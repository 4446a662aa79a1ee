"""Lots, what is owed to them, and what holds drew from them, as a column's text: JSON that an operator can read."""

import json

from samprasan.ledger.lots import Debts, Lot, Lots, Owed, Part, Parts

NOTHING = "[[],[]]"


def written(lots: Lots, owed: Debts) -> str:
    """An account's lots, and what is owed to them."""
    if not lots:
        return NOTHING
    debts = [(*each[:3], each.op_id.hex(), each.credits) for each in owed]
    return json.dumps((lots, debts), separators=(",", ":"))


def read(text: str) -> tuple[Lots, Debts]:
    """The same again."""
    if text == NOTHING:
        return (), ()
    lots, debts = json.loads(text)
    owed = tuple(Owed(each[0], each[1], each[2], bytes.fromhex(each[3]), each[4]) for each in debts)
    return tuple(Lot(*each) for each in lots), owed


def written_parts(parts: Parts) -> str:
    """What a hold drew."""
    return json.dumps(parts, separators=(",", ":"))


def read_parts(text: str) -> Parts:
    """The same again."""
    return tuple(Part(*each) for each in json.loads(text))

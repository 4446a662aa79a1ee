"""Lots: whose credits an account holds, in which order they are spent, and what is still owed to them.

Credits with the same awarder, ripening day and lapse day are one lot (no credits ripen or lapse yet: both days are 0).
Spending draws from what lapses first, then from the older lot, and a hold remembers what it drew from.  A correction
recovers what is unspent of its own award's lot and of no other; the rest is written off to the awarder and stays *owed*
on the award.  Whatever comes back to the lot pays that first, the oldest first.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, int, int]
"""Awarder, the day on which it ripens, the day on which it lapses (YYYYMMDD; 0: it always could be spent, never)."""

OWED_MAX = 64  # awards of one lot that owe something; beyond, what the oldest owes is added to the next


class Lot(NamedTuple):
    """Credits of an account that can be spent, in the order in which they are."""

    awarder: str
    ripens_on: int
    lapses_on: int
    remaining: int


class Part(NamedTuple):
    """Credits that a hold has drawn from a lot."""

    awarder: str
    ripens_on: int
    lapses_on: int
    credits: int


class Owed(NamedTuple):
    """What an award that was taken back still owes to its lot, since it was spent; the oldest come first."""

    awarder: str
    ripens_on: int
    lapses_on: int
    op_id: bytes
    credits: int


def key_of(each: Lot | Part | Owed) -> Key:
    """The lot that it is, was drawn from, or is owed to."""
    return each.awarder, each.ripens_on, each.lapses_on


Lots: TypeAlias = tuple[Lot, ...]
Debts: TypeAlias = tuple[Owed, ...]
Parts: TypeAlias = tuple[Part, ...]


def unspent(lots: Lots, key: Key) -> int:
    """What is left of a lot."""
    return next((each.remaining for each in lots if key_of(each) == key), 0)


def added(lots: Lots, key: Key, credits_: int) -> Lots:
    """With ``credits_`` more in a lot; fewer, if negative."""
    for at, each in enumerate(lots):
        if key_of(each) == key:
            return (*lots[:at], each._replace(remaining=each.remaining + credits_), *lots[at + 1 :])
    return (*lots, Lot(*key, credits_))


def drawn(lots: Lots, credits_: int) -> tuple[Lots, Parts]:
    """What is left, and the parts that were drawn for ``credits_``, no more than there are."""
    parts: list[Part] = []
    left = lots
    for each in sorted(lots, key=_lapse):  # sorting keeps the older of two first
        taken = min(each.remaining, credits_)
        if taken:
            parts.append(Part(*key_of(each), taken))
            left = added(left, key_of(each), -taken)
            credits_ -= taken
    return left, tuple(parts)


def _lapse(lot: Lot) -> tuple[bool, int]:
    return lot.lapses_on == 0, lot.lapses_on


def divided(parts: Parts, credits_: int) -> tuple[Parts, Parts]:
    """The first ``credits_`` of what was drawn, and the rest."""
    first: list[Part] = []
    rest: list[Part] = []
    for each in parts:
        taken = min(each.credits, credits_)
        credits_ -= taken
        if taken:
            first.append(each._replace(credits=taken))
        if taken < each.credits:
            rest.append(each._replace(credits=each.credits - taken))
    return tuple(first), tuple(rest)


def returned(lots: Lots, debts: Debts, parts: Iterable[Part]) -> tuple[Lots, Debts, list[tuple[str, int]]]:
    """What comes back pays what is owed to its lot, and is added to it; (awarder, credits) that were paid."""
    paid: list[tuple[str, int]] = []
    for part in parts:
        left = part.credits
        for owed in [each for each in debts if key_of(each) == key_of(part)]:
            pays = min(owed.credits, left)
            if pays:
                debts = settled(debts, part.awarder, owed.op_id, pays)
                paid.append((part.awarder, pays))
                left -= pays
        if left:
            lots = added(lots, key_of(part), left)
    return lots, debts, paid


def owed_by(debts: Debts, awarder: str, op_id: bytes) -> int:
    """What that award owes."""
    return sum(each.credits for each in debts if (each.awarder, each.op_id) == (awarder, op_id))


def settled(debts: Debts, awarder: str, op_id: bytes, credits_: int) -> Debts:
    """With ``credits_`` less owed by that award; what owes nothing is forgotten."""
    return tuple(each for each in _changed(debts, awarder, op_id, -credits_) if each.credits > 0)


def passed_on(debts: Debts, awarder: str, op_id: bytes, to: bytes) -> Debts:
    """What that award owes is owed by another one from now on, which owed nothing before."""
    assert not owed_by(debts, awarder, to)
    return tuple(each._replace(op_id=to) if (each.awarder, each.op_id) == (awarder, op_id) else each for each in debts)


def _changed(debts: Debts, awarder: str, op_id: bytes, credits_: int) -> Debts:
    return tuple(
        each._replace(credits=each.credits + credits_) if (each.awarder, each.op_id) == (awarder, op_id) else each
        for each in debts
    )


def owing(debts: Debts, key: Key, op_id: bytes, credits_: int) -> Debts:
    """With ``credits_`` more owed by an award; if it owed nothing, it is the newest of its lot."""
    if owed_by(debts, key[0], op_id):
        return _changed(debts, key[0], op_id, credits_)
    debts = (*debts, Owed(*key, op_id, credits_))
    of_lot = [each for each in debts if key_of(each) == key]
    if len(of_lot) <= OWED_MAX:
        return debts
    oldest, next_ = of_lot[0], of_lot[1]
    merged = next_._replace(credits=next_.credits + oldest.credits)
    return tuple(merged if each == next_ else each for each in debts if each != oldest)


def are_sound(lots: Lots, debts: Debts) -> bool:
    """Whether nothing is negative, and each lot and each award that owes something stands once."""
    owing_awards = {(each.awarder, each.op_id) for each in debts}
    return (
        all(each.remaining >= 0 for each in lots)
        and all(each.credits > 0 for each in debts)
        and (len(owing_awards), len({key_of(each) for each in lots})) == (len(debts), len(lots))
    )


def total(lots: Sequence[Lot]) -> int:
    """Credits in all of them."""
    return sum(each.remaining for each in lots)

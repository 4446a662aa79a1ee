"""Policies: what a file may say, and what a deed earns."""

from datetime import date
from decimal import Decimal

import pytest
from samprasan.keys import documents, signing
from samprasan.keys.errors import Malformed
from samprasan.ledger import policy

from tests.federation import SAMPLES

TEXT = (SAMPLES / "policy.toml").read_text("utf-8")


def read(text: str) -> policy.Policy:
    return policy.from_document(policy.from_toml(text, b"f" * 16, 1, 2))


def proposed(text: str) -> None:
    """What a node does with a policy file, and the hub with what it gets."""
    documents.read(signing.seal(policy.from_toml(text, b"f" * 16, 1, 2)))


def test_the_sample_policy_prices_as_it_says() -> None:
    found = read(TEXT)
    assert (found.version, found.valid_from, found.credits_per_update_max) == (1, date(2025, 1, 1), 500)
    assert len(found.categories) == 11
    care = found.categories["volunteer.elder-care"]
    assert (care.dimension, care.quantity_max) == (1, Decimal(12))
    assert [policy.credits_for(care, Decimal(text)) for text in ("0.1", "2.5", "2.99", "12")] == [0, 20, 23, 96]


@pytest.mark.parametrize(
    ("before", "after", "code", "says"),
    [
        ("version = 1", "", "entry_missing", "version"),
        ("version = 1", "version = 1\nextra = 2", "entry_unknown", "extra"),
        ("version = 1", "version = 0", "entry_value", ""),
        ("version = 1", 'version = "1"', "entry_value", "version"),
        ("valid_from = 2025-01-01", "valid_from = 2025-01-01T00:00:00", "entry_value", "valid_from"),
        ("pending_days = 0", "pending_days = 7", "policy_unsupported", "pending_days"),
        ("credits_per_update_max = 500", "credits_per_update_max = 0", "entry_value", "credits_per_update_max"),
        ('dimension = "health"', 'dimension = "wealth"', "entry_value", "dimension"),
        ('unit = "hour"', 'unit = "day"', "entry_value", "unit"),
        ("quantity_max = 12", "quantity_max = 0", "entry_value", "quantity_max"),
        ("quantity_max = 12", "quantity_max = 0.0001", "entry_value", "quantity_max"),
        ('code = "crab-bank"', 'code = "dugong-watch"', "entry_value", "code"),
        ('code = "crab-bank"', 'code = "Crab Bank"', "entry_value", "code"),
        ("[limits]", "[limits", "toml", ""),
    ],
)
def test_a_faulty_policy_is_refused_whole_and_the_key_is_named(before: str, after: str, code: str, says: str) -> None:
    assert before in TEXT
    with pytest.raises(Malformed) as refused:
        proposed(TEXT.replace(before, after, 1))
    assert refused.value.code in {code, "document_form"}
    assert says in str(refused.value)


def test_the_newest_policy_that_covers_a_day_prices_it() -> None:
    old = read(TEXT)
    new = read(TEXT.replace("version = 1", "version = 2").replace("2025-01-01", "2026-06-01"))
    assert policy.in_force([old, new], date(2026, 5, 31)) is old
    assert policy.in_force([old, new], date(2026, 6, 1)) is new
    assert policy.in_force([old, new], date(2024, 12, 31)) is None

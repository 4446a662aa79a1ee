"""Rows read as deeds."""

from datetime import date
from typing import Any

from samprasan.ledger import policy
from samprasan.node.exports import profile as exports_profile
from samprasan.node.imports import deed

from tests.federation import SAMPLES, citizen

POLICY = policy.from_document(
    policy.from_toml((SAMPLES / "policy.toml").read_text("utf-8").replace("2025-01-01", "2020-01-01"), b"f" * 16, 1, 2)
)


TODAY = date(2026, 11, 23)


PROFILE_TEXT = """
    record = "deed"
    source = "test"
    registry = "codi.council"
    [columns]
    record_id = "R"
    subject_kind = "K"
    subject_id = "I"
    subject_name = "N"
    category = "C"
    quantity = "Q"
    occurred_on = "D"
    area_code = "A"
    subdistrict = "T"
    district = "U"
    province = "P"
    status = "S"
    consent = "Y"
    """


PROFILE = exports_profile.read(PROFILE_TEXT)


ROW: dict[str, Any] = {
    "R": "R1",
    "K": "person",
    "I": citizen(1),
    "N": "ชื่อสมมติ",
    "C": "volunteer.elder-care",
    "Q": "2.5",
    "D": "13/11/2569",
    "A": "720803",
    "S": "verified",
    "Y": "yes",
}


HEADER = sorted(PROFILE.named)


def read(profile: exports_profile.Profile = PROFILE, **changes: Any) -> deed.Deed:
    row = ROW | changes
    reader = deed.Reader(profile, HEADER, [POLICY], TODAY, keyed_hash=lambda text: f"#{len(text)}")
    return reader.deed([row.get(column) for column in HEADER])

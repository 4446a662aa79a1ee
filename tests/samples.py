"""The sample exports, and what must come of them."""

import json
from pathlib import Path
from typing import Any

from samprasan.keys.identifiers import Identifier, Scheme, parse

from tests.federation import SAMPLES

ORACLE: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))


EXPECTED: dict[str, Any] = ORACLE["first"]


FILES = {"first": "deeds.*", "later": "deeds-later.*", "attendance": "attendance.*"}


SCHEMES = {
    "person": Scheme.CITIZEN,
    "organization": Scheme.JURISTIC,
    "community": Scheme.REGISTRY,
    "area": Scheme.AREA,
}


def export_of(agency: str, stage: str = "first") -> Path:
    (file,) = (SAMPLES / agency).glob(FILES[stage])
    return file


def identifier_of(subject: str, kind: str) -> Identifier:
    return parse(SCHEMES[kind], subject, "codi.council")

"""Trying a profile on an export: what would be rejected, and which words the profile does not know."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from samprasan.keys.errors import Refused
from samprasan.ledger import calendar
from samprasan.node import store
from samprasan.node.exports.export import Export
from samprasan.node.exports.profile import Profile
from samprasan.node.exports.rows import BrokenRow
from samprasan.node.identity import Node
from samprasan.node.imports.deed import Reader, Rejected

_WORDS_MAX = 100  # of a field: with more, the profile means the wrong column
_UNMAPPED = ("word_unmapped", "category_unmapped")


@dataclass
class Findings:
    """How many rows there are, how often each reason came up and in which row first, and unknown words by field."""

    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first_rows: dict[str, int] = field(default_factory=dict)
    unmapped: dict[str, Counter[str]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The answer of ``samprasan-node profile check``."""
        return {
            "ok": not self.reasons,
            "rows": self.rows,
            "rejected": sum(self.reasons.values()),
            "reasons": {
                reason: {"rows": n, "first_row": self.first_rows[reason]} for reason, n in self.reasons.items()
            },
            "unmapped": {name: dict(words.most_common(_WORDS_MAX)) for name, words in self.unmapped.items()},
        }


def check(node: Node, profile: Profile, export: Export) -> Findings:
    """Read every row and keep nothing.  Raises Refused ``no_policy`` if no policy is in force yet."""
    with node.db.read() as tx:
        policies = list(store.documents.agreed_on(tx).policies.values())
    if not policies:
        raise Refused("no_policy")
    reader = Reader(profile, export.header, policies, calendar.day_of(node.world.now()), node.identity.record_hash)
    findings = Findings()
    for number, row in export.rows:
        findings.rows += 1
        try:
            if isinstance(row, BrokenRow):
                raise Rejected("missing_field", "record_id", row.detail)
            reader.deed(row)
        except Rejected as problem:
            findings.reasons[problem.reason] += 1
            findings.first_rows.setdefault(problem.reason, number)
            if problem.detail in _UNMAPPED:
                words = findings.unmapped.setdefault(problem.field, Counter())
                word = reader.text(row, problem.field)
                if word in words or len(words) < _WORDS_MAX:
                    words[word] += 1
    return findings

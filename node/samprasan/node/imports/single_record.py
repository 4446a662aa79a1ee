"""One record of a deed, told by an agency's own application: an import of one row, with the same rules and answers."""

import hashlib

from samprasan.edge.texts import Words
from samprasan.keys.errors import Malformed
from samprasan.node.exports.export import Export
from samprasan.node.exports.profile import SOURCE_CHARACTERS_MAX, Profile
from samprasan.node.identity import Node
from samprasan.node.imports import importer
from samprasan.v1 import counter_pb2

_FIELDS = ("subject_kind", "subject_scheme", "subject_id", "subject_name", "category", "quantity", "occurred_on")
_COLUMNS = ("record_id", *_FIELDS, "area_code", "status", "consent")
_words = Words("samprasan.node")


def record(node: Node, told: counter_pb2.RecordDeedRequest) -> counter_pb2.RecordDeedResponse:
    """Take the record in; whether it was accepted, and if not why.

    Raises Malformed ``source``, Refused ``no_policy``.
    """
    if not 0 < len(told.source) <= SOURCE_CHARACTERS_MAX:
        raise Malformed("source", most=SOURCE_CHARACTERS_MAX)
    cells = (
        told.record_id,
        told.subject_kind,
        told.subject.scheme,
        told.subject.id,
        told.subject_name,
        told.category,
        told.quantity,
        told.occurred_on,
        told.area_code,
        told.status,
        "yes" if told.consent else "no",
    )
    profile = Profile(
        source=told.source,
        columns={name: name for name in _COLUMNS if name != "record_id"},
        record_columns=("record_id",),
        registry=told.subject.registry,
        calendar="gregorian",
    )
    digest = hashlib.sha256("\0".join(cells).encode()).digest()
    export = Export(digest, 1, _COLUMNS, iter([(1, list(cells))]), lambda: None)
    report = importer.import_rows(node, profile, export, confirm=told.confirm)
    if not report.rejections:
        outcome = next(each for each in ("accepted", "unchanged", "corrected") if getattr(report, each))
        return counter_pb2.RecordDeedResponse(outcome=outcome)
    rejection = report.rejections[0]
    said = {
        language: _words.in_language(language, f"reject_{rejection.detail}", **rejection.values)
        for language in ("th", "en")
    }
    return counter_pb2.RecordDeedResponse(
        outcome="rejected", reason=rejection.reason, message_th=said["th"], message_en=said["en"]
    )

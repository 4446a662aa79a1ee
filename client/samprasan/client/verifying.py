"""Verifying an exported log offline, trusting nothing but the federation's id."""

from typing import BinaryIO

from samprasan.edge import bundle
from samprasan.keys.errors import Unproven
from samprasan.keys.signing import verify_ed25519
from samprasan.ledger.audit import Auditor, Report


def verify(file: BinaryIO, federation_id: str) -> Report:
    """What a bundle proves.

    The id is the first 16 bytes of roster 1's digest, in hexadecimal: everything else follows from what that roster's
    agencies signed.  Raises Malformed ``bundle``, Unproven ``federation`` for another federation's.
    """
    opened = bundle.read(file)
    auditor = Auditor(opened.documents, opened.checkpoint, verify_ed25519)
    if auditor.agreed.federation_id.hex() != federation_id.strip().lower():
        raise Unproven("federation", kind="bundle")
    for batch, receipt in opened.entries():
        auditor.check_entry(batch, receipt)
    return auditor.finish()

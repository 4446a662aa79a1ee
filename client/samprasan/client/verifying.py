"""Verifying an exported log offline, trusting nothing but the federation's id."""

from collections.abc import Callable
from typing import BinaryIO

from samprasan.edge import bundle
from samprasan.keys.errors import Unproven
from samprasan.keys.signing import verify_ed25519
from samprasan.ledger.audit import Auditor, Report


def verify(
    file: BinaryIO,
    federation_id: str,
    witnesses: int | None = None,
    done: Callable[[int], None] = lambda _bytes: None,
) -> Report:
    """What a bundle proves.

    The id is the first 16 bytes of roster 1's digest, in hexadecimal: everything else follows from what that roster's
    agencies signed.  ``witnesses`` is how many of them have to have cosigned the checkpoint; else as many as a joint
    document needs: a log that no quorum has seen is one that the hub may show to its reader alone, and so is what
    comes behind the checkpoint, unless ``witnesses`` is 0.  ``done`` is told how many more bytes of the log were read.

    Raises Malformed ``bundle``, Unproven ``federation`` for another federation's.
    """
    opened = bundle.read(file)
    auditor = Auditor(opened.documents, opened.checkpoint, verify_ed25519)
    if auditor.agreed.federation_id.hex() != federation_id.strip().lower():
        raise Unproven("federation", kind="bundle")
    for batch, receipt in opened.entries():
        auditor.check_entry(batch, receipt)
        done(2 * bundle.LENGTH_BYTES + len(batch) + len(receipt))
    report = auditor.finish()
    needed = auditor.agreed.required_roster.threshold if witnesses is None else witnesses
    if len(report.cosigned) < needed:
        report.problems.append(f"{len(report.cosigned)} agencies cosigned the checkpoint, {needed} are needed")
    if needed and report.batches > report.witnessed:
        unseen = report.batches - report.witnessed
        report.problems.append(f"{unseen} entries are behind the checkpoint: perhaps nobody but you was shown them")
    return report

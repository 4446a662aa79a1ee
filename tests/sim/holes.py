"""Planted holes: each takes one security rule away, as a careless change could, and says what an attacker gains by it.

The attacker is a member agency with valid keys, alone, or with the hub's operator where that is said.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.message import Message
from samprasan.hub.accounts import evaluations, totals
from samprasan.hub.integrators import handle_token
from samprasan.hub.members import dissent
from samprasan.hub.members import documents as hub_documents
from samprasan.hub.store import contributions
from samprasan.hub.store import ledger as stored
from samprasan.keys import documents, signing
from samprasan.keys.signing import Verify
from samprasan.ledger import account_rest, admissions, batch_form, corrections, holds, lots
from samprasan.ledger.state import AccountId, Step
from samprasan.node.documents import differences, inbox
from samprasan.node.documents.differences import Change
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope


def _edit(patch: pytest.MonkeyPatch, owner: Any, name: str, old: str, new: str) -> None:
    """In the source of ``owner.name``, ``new`` stands for ``old``; fails if it does not stand there just once."""
    function = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{name} has another source: {old}"
    made: dict[str, Any] = {}
    exec(source.replace(old, new), function.__globals__, made)
    patch.setattr(owner, name, made[name])


# Admissions.


def resting_account_needs_no_admission(patch: pytest.MonkeyPatch) -> None:
    """While an account rests, its id alone is enough for a Link: it is not asked whether this agency left it."""
    # Gain: whoever knows the id (linked once, more than a week ago; or told by the operator) links to somebody's
    # account for every purpose, with no admission and no evaluation, spends what is in it, and keeps it from closing.
    left_lately = admissions._left_lately

    def left_by_anybody(step: Step, account_id: AccountId) -> bool:
        account = step.account(account_id)
        return left_lately(step, account_id) or (account is not None and account.closes_on > 0)

    patch.setattr(admissions, "_left_lately", left_by_anybody)


def unlink_closes_an_account_of_others(patch: pytest.MonkeyPatch) -> None:
    """An Unlink begins the rest of the account though other agencies are linked to it."""
    # Gain: link and unlink, and a week later the hub's own Turn closes the account and forgets whose it is: its subject
    # gets a new and empty one, and no other agency can link to the old one (unless somebody happens to link meanwhile).
    _edit(patch, admissions, "unlink", "closes = 0 if links else calendar", "closes = calendar")


def turn_closes_early(patch: pytest.MonkeyPatch) -> None:
    """A Turn is believed about which day it is."""
    # Gain, with the operator: after the last Unlink a Turn of a day to come closes the account at once; the subject who
    # changes their mind within the week has lost it.  No node looks at a Turn but through this fold.
    _edit(patch, account_rest, "turn", "day = min(turned.day, step.day)", "day = turned.day")


# Openings covered by evaluations.


def evaluations_cover_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """Admissions by pseudonym are not counted, so that the same evaluations cover the next request, too."""
    # Gain: with N ids ever evaluated, N more accounts in every OpenAccounts, for ever: pseudonyms can be tried in bulk.
    # The only count that the hub's allowance is held against is this one.
    _edit(patch, admissions, "admit", "admitted=admitted.key_epoch > 0", "admitted=False")


def total_signed_by_who_shows_it(patch: pytest.MonkeyPatch) -> None:
    """Of an EvaluationTotal, the hub checks the signature of the agency that shows it, and not the other's."""
    # Gain: says that another agency evaluated a million ids for it, and is admitted to as many accounts.  Nodes and
    # auditors see it in the hub's chain, but only after the agency was admitted.
    _edit(
        patch,
        evaluations,
        "news",
        "evaluation_totals.check(envelope, federation_id, keys, world.verify)",
        "if not evaluation_totals.signing.signers_of(envelope, dict.fromkeys(keys[agency], agency), world.verify):"
        "\n                raise Unproven('evaluation_total', agency=agency)",
    )


# Corrections.


def others_awards_are_corrected(patch: pytest.MonkeyPatch) -> None:
    """An award is found by its op_id alone, whosever it is; at the hub, too."""
    # Gain, with the operator, who knows every op_id: reverses another agency's award (or replaces it by one on another
    # account) on any account that it has a Link to share with; the award still stands for its own agency.
    awards_of = stored.awards_of

    def award(step: Step, op_id: bytes) -> log.Award | None:
        known = (*step.changes.awards.items(), *step.before.awards.items())
        return next((each for (_, own), each in known if own == op_id), None) or step.leftover(op_id)

    def of_anybody(tx: sa.Connection, agency: str, op_ids: Iterable[bytes]) -> Iterator[tuple[bytes, log.Award]]:
        wanted = list(op_ids)
        for each in (*sorted(stored.agency_totals(tx).keys() - {agency}), agency):
            yield from awards_of(tx, each, wanted)

    patch.setattr(Step, "award", award)
    patch.setattr(stored, "awards_of", of_anybody)


def award_is_reversed_again(patch: pytest.MonkeyPatch) -> None:
    """Only a correction that nothing may restore any more keeps its award from another one."""
    # Gain: reverses one award over and over.  Each time its credits go from what the subject earned by the agency's
    # other awards, or are written off: a subject loses what nobody has taken back.
    _edit(
        patch,
        corrections,
        "_correction_declined",
        "if step.correction(award_op_id) is not None:",
        "if (found := step.correction(award_op_id)) is not None and found.is_over:",
    )


def replacing_escapes_the_cap_of_the_day(patch: pytest.MonkeyPatch) -> None:
    """An award that replaces another is not held against the day's cap, however much larger it is."""
    # Gain: awards of 1 credit within the cap, each replaced by one of credits_per_update_max: as many credits on a day
    # as it likes.  What one update may have at most is all that is left.
    _edit(
        patch,
        corrections,
        "_over_cap",
        "if sum(each.spendable",
        "if not step.update.award.replaces and sum(each.spendable",
    )


def no_cap_of_a_day(patch: pytest.MonkeyPatch) -> None:
    """An agency may make spendable what it likes."""
    over = corrections._over_cap

    def not_over(*arguments: Any) -> Any:
        reason = over(*arguments)
        return 0 if reason == log.DECLINE_REASON_DAY_CAP_REACHED else reason

    patch.setattr(corrections, "_over_cap", not_over)


def no_cap_of_reserving(patch: pytest.MonkeyPatch) -> None:
    """An agency may set aside on a day what it likes."""
    # Gain: everybody's credits whom it knows, at once, and not some each day, while others look into it.
    _edit(patch, holds, "_not_allowed", "if wanted.credits > day_caps.may_reserve(step):", "if False:")


def nothing_is_paid_back(patch: pytest.MonkeyPatch) -> None:
    """What comes back to a lot can be spent, whatever is owed to it."""
    returned = lots.returned

    def unpaid(held: lots.Lots, debts: lots.Debts, parts: Any) -> Any:
        left, _, paid = returned(held, (), parts)
        return left, debts, paid

    patch.setattr(lots, "returned", unpaid)


def others_credits_are_recovered(patch: pytest.MonkeyPatch) -> None:
    """A correction takes back from whatever is there."""
    patch.setattr(lots, "unspent", lambda held, _key: lots.total(held))


# Holds.


def anybody_refunds(patch: pytest.MonkeyPatch) -> None:
    """A Refund is not asked whether its signer reserved, or owns the benefit."""
    # Gain, with the operator, who knows hold ids: once the benefit is handed out elsewhere, the attacker gives its
    # friend the credits back, and the owner has lost the piece.  It needs no Link: that is asked of who reserved.
    _edit(patch, holds, "refund", "if hold is None or step.agency not in {refunded.agency, hold.owner}:",
          "if hold is None:")  # fmt: skip


def once_more_than_a_subject_may(patch: pytest.MonkeyPatch) -> None:
    """A subject may have a benefit once more than its owner allows in a period."""
    # Gain: what is meant once for everybody is taken twice, at another's cost.  Stock and credits still add up.
    _edit(patch, holds, "_not_for", "step.uses(hold) >= benefit", "step.uses(hold) > benefit")


# Purposes.


def any_link_redeems(patch: pytest.MonkeyPatch) -> None:
    """A Reserve needs a Link of its signer, for whatever purpose."""
    # Gain: spends the credits of subjects who only consented that its awards are added to their account.
    _edit(
        patch,
        holds,
        "_not_allowed",
        "log.PURPOSE_REDEEM not in step.link(wanted.account_id)",
        "not step.is_linked(wanted.account_id)",
    )


# The same op_id again.


def op_id_twice_in_a_batch(patch: pytest.MonkeyPatch) -> None:
    """An op_id is looked up among those of earlier batches alone."""
    # Gain: the same update takes effect as often as it stands in one batch.  Of two Awards under one op_id one can
    # never be taken back; of two Reserves only one is known, and the subject's credits of the other are held for ever.
    _edit(
        patch,
        Step,
        "operation",
        "self.changes.operations.get(key) or self.before.operations.get(key)",
        "self.before.operations.get(key)",
    )


# Balances.


def balance_is_read_after_unlink(patch: pytest.MonkeyPatch) -> None:
    """Totals are shown to whoever has a row in links: with a Link for another purpose, or one given up (``USED``)."""
    # Gain: goes on watching what the people who left it earn and spend elsewhere; or never asks for consent to redeem.
    _edit(patch, totals, "read_totals", "log_pb2.PURPOSE_REDEEM not in agreed_to", "not agreed_to")


def anybody_introduces(patch: pytest.MonkeyPatch) -> None:
    """A token for an integrator is issued for any account."""
    # Gain: with the id of an account (from a link that is over, or of the operator) and an integrator for a friend,
    # whose handle belongs to whom, though the person never agreed to be shown.
    refused = "PURPOSE_INTEGRATORS not in purposes or totals is None or not totals.is_shown"
    _edit(patch, handle_token, "issue", refused, "totals is None")


def comparing_tells_of_others(patch: pytest.MonkeyPatch) -> None:
    """Who compares its books is told of accounts that others are linked to."""
    # Gain: with the id of an account, how many credits somebody has who never agreed to anything with this agency.
    own = "links.c.agency == agency, links.c.purposes >= _OPEN"
    _edit(patch, contributions, "of_agency", own, "links.c.purposes >= _OPEN")


# Whose batch it is.


def batch_in_anothers_name(patch: pytest.MonkeyPatch) -> None:
    """A batch need not name its signer as its agency."""
    # Gain: it stands in the attacker's chain, with its signature, and is folded as the other's: refunds what the other
    # owns or reserved, uses up its op_ids, and, as the hub loads the signer's totals and not those of who is named,
    # sets the other's counts and caps of the day to nothing.
    _edit(patch, batch_form, "check", "batch.agency != signer or batch.federation_id", "batch.federation_id")


# Documents.


def limits_are_not_shown(patch: pytest.MonkeyPatch) -> None:
    """What a policy changes of the limits is not printed."""
    # Gain: an officer who reads that only the title is new signs a policy under which its proposer may do anything.
    every = differences.changes

    def some(before: Message, after: Message) -> list[Change]:
        return [each for each in every(before, after) if not each.path.startswith("limits")]

    patch.setattr(differences, "changes", some)


def what_is_over_can_take_effect(patch: pytest.MonkeyPatch) -> None:
    """The hub takes signatures under a proposal that its chain says is over."""
    # Gain: keeps the signatures that others have given, and puts it into force when nobody looks any more.
    _edit(patch, hub_documents, "_check_open", "if store.dissents.is_over(tx, digest):", "if False:")


def anybody_withdraws(patch: pytest.MonkeyPatch) -> None:
    """A proposal is over when any agency says that it is withdrawn."""
    # Gain: nobody but the attacker ever gets a document into force.
    _edit(
        patch,
        dissent,
        "_check_may_say",
        "if proposer != said.agency:",
        "if not proposer:",
    )


def inbox_has_one_allowance(patch: pytest.MonkeyPatch) -> None:
    """All proposals that wait are counted against who proposes."""
    # Gain: ten proposals of the attacker, and nobody else can propose anything for a month.
    _edit(
        patch,
        hub_documents,
        "check_room",
        "store.documents.proposals_by_proposer(tx).get(proposer, (0, 0))",
        "map(sum, zip(*store.documents.proposals_by_proposer(tx).values(), (0, 0)))",
    )


def short_id_names_the_first(patch: pytest.MonkeyPatch) -> None:
    """Of documents whose ids begin alike the first is meant."""
    # Gain: a document is signed unseen by whoever types the beginning of another one's id.
    _edit(patch, inbox, "find", "if len(found) > 1:", "if False:")


def signatures_are_not_verified(patch: pytest.MonkeyPatch) -> None:
    """A signature counts for whose key it names."""
    # Gain: signatures that stood under something else make any document complete.
    signers_of = signing.signers_of

    def by_name(envelope: Envelope, keys: Mapping[bytes, str], _verify: Verify) -> frozenset[str]:
        return signers_of(envelope, keys, lambda *_: True)

    patch.setattr(documents, "signers_of", by_name)


FOUND_SOON: dict[Callable[[pytest.MonkeyPatch], None], int] = {  # within a few worlds; the first seed to try
    no_cap_of_a_day: 2,
    unlink_closes_an_account_of_others: 3,
    total_signed_by_who_shows_it: 11,
    award_is_reversed_again: 10,
    short_id_names_the_first: 12,
}
FOUND_LATE: list[Callable[[pytest.MonkeyPatch], None]] = [
    no_cap_of_reserving,
    nothing_is_paid_back,
    others_credits_are_recovered,
    resting_account_needs_no_admission,
    turn_closes_early,
    evaluations_cover_again_and_again,
    others_awards_are_corrected,
    replacing_escapes_the_cap_of_the_day,
    anybody_refunds,
    once_more_than_a_subject_may,
    any_link_redeems,
    anybody_introduces,
    comparing_tells_of_others,
    op_id_twice_in_a_batch,
    balance_is_read_after_unlink,
    batch_in_anothers_name,
    limits_are_not_shown,
    what_is_over_can_take_effect,
    anybody_withdraws,
    inbox_has_one_allowance,
    signatures_are_not_verified,
]

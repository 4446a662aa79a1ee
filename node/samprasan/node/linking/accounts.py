"""Accounts that the hub is asked to open for pseudonyms, and what its signed answer leads to."""

from collections.abc import Iterable, Sequence

from samprasan.edge.database import Tx
from samprasan.keys import identifiers
from samprasan.keys.errors import Unproven
from samprasan.ledger import calendar, policy
from samprasan.node import limits, store
from samprasan.node.identity import KEY_COLUMN, OPENED_COLUMN, Node
from samprasan.node.linking import evaluation_totals
from samprasan.node.rows import SubjectRow, present
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope


def accounts_request(node: Node) -> hub_pb2.OpenAccountsRequest | None:
    """What to ask the hub next: accounts for subjects whose keys are known; None if there are none."""
    with node.db.read() as tx:
        if store.rotation.is_closing(tx, node.world.now()):
            return None
        in_force = store.documents.agreed_on(tx).required_roster.linking.key_epoch
        rows = store.subjects.without_account(tx, limits.ACCOUNTS_PER_REQUEST, node.world.now())
        rows = [row for row in rows if row.key_epoch in (store.subjects.PUBLIC, in_force)]
        rows = [row for row in rows if _is_named(tx, node, row)]
        evaluated = evaluation_totals.every_acknowledged(tx, node.identity.agency)
    if not rows:
        return None
    return hub_pb2.OpenAccountsRequest(
        request_id=node.world.random_bytes(limits.REQUEST_ID_BYTES),
        subjects=[_ref(node, row) for row in rows],
        evaluated=evaluated,
    )


def _ref(node: Node, row: SubjectRow) -> hub_pb2.SubjectRef:
    identifier = node.identity.identifier(row)
    if identifier.is_public:
        return hub_pb2.SubjectRef(kind=row.kind, public_id=identifier.public_text())
    return hub_pb2.SubjectRef(subject_key=_key(node, row), kind=row.kind, key_epoch=row.key_epoch)


def _is_named(tx: Tx, node: Node, row: SubjectRow) -> bool:
    """Whether the subject's register, if it is in one, is among those of the policy in force: the others wait."""
    if row.key_epoch != store.subjects.PUBLIC:
        return True
    current = policy.in_force(store.documents.agreed_on(tx).policies.values(), calendar.day_of(node.world.now()))
    registry = node.identity.identifier(row).registry
    return not registry or (current is not None and registry in current.registries)


def _key(node: Node, row: SubjectRow) -> bytes:
    return node.identity.vault.open(KEY_COLUMN, present(row.sealed_key))


def accept_accounts(
    node: Node,
    request: hub_pb2.OpenAccountsRequest,
    envelopes: Sequence[Envelope],
) -> None:
    """Take the hub's signed answers to ``request``, one for each subject, and keep them sealed.

    Raises Unproven ``answer_foreign`` if they answer another.
    """
    opened = read_opened(node, request.request_id, envelopes)
    told = [(each.subject_key, each.kind, each.key_epoch) for each in opened]
    if told != [_asked(each) for each in request.subjects]:
        raise Unproven("answer_foreign", kind="AccountOpened")
    answers = {each.subject_key: (each, data) for each, data in zip(opened, envelopes, strict=True)}
    with node.db.begin() as tx:
        rows = store.subjects.without_account(tx, limits.ACCOUNTS_PER_REQUEST, node.world.now())
        found = [(row.subject_id, _key(node, row)) for row in rows]
        known = [(who, *answers[key]) for who, key in found if key in answers]
        left = {row.subject_id: row.left_account for row in rows if row.left_account is not None}
        gone = {who for who, each, _ in known if left.get(who, each.account_id) != each.account_id}
        if gone:  # they come back, and what stood on the account that they left is over
            store.awards.lock(tx)
            store.awards.end(tx, gone)
            store.redemptions.end(tx, gone)
            store.subjects.forget_left(tx, gone)
        if store.subjects.unnamed_among(tx, [each.account_id for _, each, _ in known]):
            store.awards.lock(tx)
            store.subjects.name_accounts(tx, [(who, each.account_id) for who, each, _ in known])
        store.subjects.set_accounts(
            tx,
            [
                (
                    who,
                    each.account_id,
                    each.admission or None,
                    node.identity.seal(node.world, OPENED_COLUMN, data.SerializeToString()),
                )
                for who, each, data in known
            ],
        )


def forget_keys(node: Node, request: hub_pb2.OpenAccountsRequest) -> None:
    """The hub admits to no account for want of evaluations: these subjects are asked about once more.

    So it is when an answer of the hub got lost and its admission has lapsed since.
    """
    asked = {each.subject_key for each in request.subjects if each.key_epoch}
    with node.db.begin() as tx:
        rows = store.subjects.without_account(tx, limits.ACCOUNTS_PER_REQUEST, node.world.now())
        store.subjects.forget_keys(tx, [row.subject_id for row in rows if _key(node, row) in asked])


def _asked(each: hub_pb2.SubjectRef) -> tuple[bytes, int, int]:
    public = identifiers.public_identifier(each.public_id).public_subject_key() if each.public_id else b""
    return public or each.subject_key, each.kind, each.key_epoch


def read_opened(node: Node, request_id: bytes, envelopes: Iterable[Envelope]) -> list[hub_pb2.AccountOpened]:
    """What the hub signed for this node in answer to that request; else Unproven ``answer_foreign``."""
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    hub_key = agreed.required_roster.hub.signing_key
    opened = [node.world.open(each, hub_pb2.AccountOpened, hub_key) for each in envelopes]
    ours = (request_id, node.identity.agency, agreed.federation_id)
    if any((each.request_id, each.agency, each.federation_id) != ours for each in opened):
        raise Unproven("answer_foreign", kind="AccountOpened")
    return opened

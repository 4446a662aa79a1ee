"""Introducing: an integrator learns which of its handles is the person in front of it, and nobody else learns it.

An agency that has the person's consent asks for a token and gives it to the person's app, which hands it on.  Only the
integrator that it is for can trade it, with its own certificate, within minutes; what is inside is sealed by the hub
for itself.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.integrators import approval
from samprasan.hub.integrators.approval import Approved
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.handles import Names, names_of
from samprasan.ledger.batch_form import ID_BYTES
from samprasan.v1 import hub_pb2
from samprasan.v1.changes_pb2 import HandleToken
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import PURPOSE_INTEGRATORS

_NONCE_BYTES = 12


def issue(hub: Hub, secret: bytes, agency: str, request: hub_pb2.IssueTokenRequest) -> Envelope:
    """A signed token for one subject and one integrator.

    Raises Malformed ``request``, Refused ``not_shown`` without the caller's own open Link for integrators or if another
    linked agency has none, and as :func:`integrators.approved`.
    """
    if len(request.account_id) != ID_BYTES:
        raise Malformed("request", limit=1)
    now = hub.world.now()
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        agreed.roster_with(agency)
        approved = approval.find_approved(tx, request.integrator, now)
        purposes = store.ledger.purposes_at(tx, agency, [request.account_id]).get(request.account_id, frozenset())
        totals = store.ledger.totals_of(tx, [request.account_id]).get(request.account_id)
    if PURPOSE_INTEGRATORS not in purposes or totals is None or not totals.is_shown:
        raise Refused("not_shown")
    token = HandleToken(
        federation_id=agreed.federation_id,
        integrator=request.integrator,
        agency=agency,
        expires_at=now + limits.TOKEN_LIFETIME_MS,
    )
    nonce = hub.world.random_bytes(_NONCE_BYTES)
    names = names_of(secret, agreed.federation_id, request.integrator, approved.handle_epoch)
    token.sealed = nonce + AESGCM(names.sealing_key).encrypt(nonce, request.account_id, _bound(token))
    return hub.world.sign(token)


def resolve(hub: Hub, secret: bytes, approved: Approved, envelope: Envelope) -> bytes:
    """The caller's handle, 32 bytes, of the subject that a token is for.

    Raises Unproven ``token`` if it is forged, over or another's, Refused ``not_shown`` if consent ended meanwhile.
    """
    name, scope = approved.document.name, approved.document.scope
    with hub.db.read() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
        names = names_of(secret, federation_id, name, approved.handle_epoch)
        account_id = _account(hub.world, names, envelope, (federation_id, name))
        totals = store.ledger.totals_of(tx, [account_id]).get(account_id)
    if totals is None or not totals.is_shown or (scope.kinds and totals.kind not in scope.kinds):
        raise Refused("not_shown")
    return names.handle(account_id)


def _account(world: World, names: Names, envelope: Envelope, bound_to: tuple[bytes, str]) -> bytes:
    try:
        token = world.open(envelope, HandleToken, world.signer.public_key)
        if (token.federation_id, token.integrator) != bound_to or token.expires_at <= world.now():
            raise Unproven("token")
        nonce, sealed = token.sealed[:_NONCE_BYTES], token.sealed[_NONCE_BYTES:]
        return AESGCM(names.sealing_key).decrypt(nonce, sealed, _bound(token))
    except (SamprasanError, InvalidTag, ValueError) as problem:
        raise Unproven("token") from problem


def _bound(token: HandleToken) -> bytes:
    return f"{token.agency}/{token.expires_at}".encode()

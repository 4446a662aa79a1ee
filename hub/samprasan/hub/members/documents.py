"""Joint documents at the hub: it stores, merges signatures and forwards; it cannot make one.

A document that has its threshold stands in the hub's own chain as Activate, and is in force from there on.
"""

from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.hub.recovery import cut, recovery
from samprasan.keys import documents, rosters, sharing, signing
from samprasan.keys.documents import Body, Standing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable, Unproven
from samprasan.ledger import benefits, policy
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.documents_pb2 import Catalogue, Cut, HubKeys, LinkingPlan, Member, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope


def submit_document(hub: Hub, agency: str, envelope: Envelope) -> None:
    """Store a proposal or the caller's approval of one; put the document into force if that completes it.

    Raises Malformed for what cannot be read, Unproven for signatures that do not hold or are not the caller's, Refused
    for a version that does not come next, a document that expired, or an inbox that is full.
    """
    body = _read(envelope)
    _drop_expired(hub)
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        agreed = store.documents.agreed_on(tx)
        current = agreed.roster
        digest = signing.digest(envelope)
        if digest in agreed.digests:
            return  # a confirmation that came twice, or after the others sufficed
        _check_open(tx, hub.world, digest, body)
        stored = store.documents.find(tx, digest)
        judges = [current, body] if isinstance(body, Roster) else [current]
        counted = {key for judge in judges if judge for key in rosters.signing_keys(judge)}
        merged = _merged(Envelope.FromString(stored) if stored else None, envelope, counted)
        found = documents.check_signatures(merged, body, current, hub.world.verify)
        _check_own(agency, documents.check_signatures(envelope, body, current, hub.world.verify))
        if merged.SerializeToString() == stored:
            return  # it came twice: nobody has to list it again
        in_force = store.documents.version_in_force(tx, found.kind, found.series)
        _check_next(body, in_force, agreed.federation_id)
        _check_time(body, current, hub.world.now())
        if stored is None:
            if not found.complete:
                _check_time_left(body, current, hub.world.now())
                check_room(tx, agency, envelope)
            _check_catalogue(tx, body, hub.world.now())
        if found.complete and isinstance(body, Roster) and current is not None:
            _end_rotation(tx, current, body)
        if found.complete and isinstance(body, Cut):
            signing.add_signature(merged, hub.world.signer)  # should the hub lose it, this proves that it took effect
        store.dissents.drop(tx, digest, agency)  # it has changed its mind
        data, now = merged.SerializeToString(), hub.world.now()
        store.documents.save(tx, found, data, now, active=found.complete, proposed_by=agency)
        if found.complete:
            _take_effect(tx, hub.world, found)
            if not documents.is_in_time(body, current, store.log.head_now(tx).appended_at):
                raise _expired(body)  # its time ran out between one look at the clock and the next


def _read(envelope: Envelope) -> Body:
    if len(envelope.payload) > limits.DOCUMENT_BYTES_MAX:
        raise Malformed("envelope_over_limit", bytes_max=limits.DOCUMENT_BYTES_MAX, signatures_max=1)
    body = documents.read(envelope)
    documents.check_texts(body)
    if isinstance(body, Policy):
        policy.from_document(body)
    elif isinstance(body, Catalogue):
        benefits.from_document(body)
    return body


def _check_own(agency: str, brought: Standing) -> None:
    """Nobody brings another's signature alone, nor another's catalogue."""
    if agency not in brought.signed:
        raise Unproven("approval_not_ones_own", agency=agency)


def _check_open(tx: Tx, world: World, digest: bytes, body: Body) -> None:
    """Raise if the document is over, or a hub that recovers puts nothing into force but the cut that it needs.

    What the log says is over stays so, whoever still has signatures under it: Refused ``document_withdrawn``.
    """
    if isinstance(body, Cut):
        recovery.check_cut(tx, world, body)
    elif store.recovery.current(tx) is not None:
        raise Unavailable("hub_recovering")
    if store.dissents.is_over(tx, digest):
        raise Refused("document_withdrawn", kind=documents.kind_name(documents.kind_of(body)), version=body.version)


def _take_effect(tx: Tx, world: World, found: Standing) -> None:
    """What is complete stands in the log; a cut when all that it leaves is there again."""
    store.documents.drop_proposed(tx, found.kind, found.version, found.series)
    if found.kind == log_pb2.DOCUMENT_KIND_CUT:
        cut.begin_cut(tx, world)
        return
    activate = log_pb2.Activate(document=found.kind, version=found.version, digest=found.digest)
    intake.append_own(tx, world, [log_pb2.Update(activate=activate)])


def list_documents(db: Database) -> hub_pb2.ListDocumentsResponse:
    """Everything in force and everything that waits, with the signatures known so far; of catalogues the newest."""
    with db.read() as tx:
        return hub_pb2.ListDocumentsResponse(
            active=[Envelope.FromString(each) for each in store.documents.current(tx)],
            proposed=[Envelope.FromString(each) for each in store.documents.proposed(tx)],
            dissents=[Envelope.FromString(each) for each in store.dissents.waiting(tx)],
        )


def document_pages(db: Database) -> list[hub_pb2.ListDocumentsResponse]:
    """The same in pages that fit into one message each: their lists, one behind the other."""
    pages = [hub_pb2.ListDocumentsResponse()]
    left = limits.DOCUMENTS_PAGE_BYTES
    listing = list_documents(db)
    for name in ("active", "proposed", "dissents"):
        for envelope in getattr(listing, name):
            if (size := envelope.ByteSize()) > left and left < limits.DOCUMENTS_PAGE_BYTES:
                pages.append(hub_pb2.ListDocumentsResponse())
                left = limits.DOCUMENTS_PAGE_BYTES
            getattr(pages[-1], name).append(envelope)
            left -= size
    return pages


def compose_roster(hub: Hub, tls_ca: bytes) -> bool:
    """Once every invited agency has joined: lay roster 1, unsigned, before the agencies.  Says whether it did."""
    with hub.db.begin() as tx:
        if store.documents.agreed_on(tx).roster is not None:
            return False
        invites = store.members.invited(tx)
        if not invites or any(invite.application is None for invite in invites):
            return False
        applications = [_application(invite.application) for invite in invites]
        now = hub.world.now()
        composed = Roster(
            version=1,
            created_at=now,
            expires_at=now + limits.DOCUMENT_LIFETIME_MS,
            threshold=len(applications) // limits.ROSTER_THRESHOLD_SHARE + 1,
            members=[
                Member(agency=each.agency, name=invite.name, signing_key=each.signing_key, sealing_key=each.sealing_key)
                for each, invite in zip(applications, invites, strict=True)
            ],
            hub=HubKeys(signing_key=hub.world.signer.public_key, tls_ca=tls_ca),
            plan=_plan([each.agency for each in applications]),
        )
        envelope = signing.seal(composed)
        body = documents.read(envelope)
        store.documents.drop_proposed(tx, log_pb2.DOCUMENT_KIND_ROSTER, 1)
        found = documents.check_signatures(envelope, body, None, hub.world.verify)
        store.documents.save(tx, found, envelope.SerializeToString(), now, active=False, proposed_by=rosters.HUB)
        return True


def check_room(tx: Tx, proposer: str, envelope: Envelope) -> None:
    """An inbox is to be read by people, and what one fills is its own share of it; else Refused ``inbox_full``."""
    count, size = store.documents.proposals_by_proposer(tx).get(proposer, (0, 0))
    is_full = count >= limits.PROPOSALS_OF_ONE_MAX
    if is_full or size + envelope.ByteSize() > limits.PROPOSALS_OF_ONE_BYTES_MAX:
        kib = limits.PROPOSALS_OF_ONE_BYTES_MAX // 1024
        raise Refused("inbox_full", count=count, most=limits.PROPOSALS_OF_ONE_MAX, kib=kib)


def _check_catalogue(tx: Tx, body: Body, now: int) -> None:
    """What an agency publishes by itself has limits at the hub."""
    if not isinstance(body, Catalogue):
        return
    since = now - DAY_MS
    if store.documents.published_since(tx, body.agency, since) >= limits.CATALOGUES_PER_DAY_MAX:
        raise Refused("catalogues_over_limit", most=limits.CATALOGUES_PER_DAY_MAX)
    codes = store.holds.codes_of(tx, body.agency) | {each.code for each in body.benefits}
    if len(codes) > limits.BENEFITS_EVER_MAX:
        raise Refused("benefits_over_limit", most=limits.BENEFITS_EVER_MAX)


def _end_rotation(tx: Tx, current: Roster, body: Roster) -> None:
    """Pseudonyms of a key that the roster drops are nobody's; Refused if somebody would not be found any more."""
    if current.HasField("linking") and body.linking.key_epoch != current.linking.key_epoch:
        if left := store.pseudonyms.not_moved(tx, body.linking.key_epoch):
            raise Refused("rotation_unfinished", accounts=left)
        store.pseudonyms.end_rotation(tx, body.linking.key_epoch)


def _application(envelope: bytes | None) -> hub_pb2.Application:
    return hub_pb2.Application.FromString(Envelope.FromString(envelope or b"").payload)


def _plan(agencies: list[str]) -> LinkingPlan | None:
    """The ceremony that makes the first linking key: it takes three."""
    if len(agencies) != len(sharing.INDICES):
        return None
    return LinkingPlan(key_epoch=1, share_version=1, dealers=agencies)


def _merged(stored: Envelope | None, envelope: Envelope, counted: set[bytes]) -> Envelope:
    """Every signature by a key that counts; others would only fill the envelope for everybody."""
    key_ids = {signing.key_id(key) for key in counted}
    merged = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
    merged.signatures.extend(stored.signatures if stored else [])
    known = {signature.key_id for signature in merged.signatures}
    merged.signatures.extend(
        each for each in envelope.signatures if each.key_id in key_ids and each.key_id not in known
    )
    return merged


def _drop_expired(hub: Hub) -> None:
    """Make room: what was not approved in time is nobody's any more.  Roster 1 waits as long as it takes.

    What came of a key ceremony goes a month after it came here; the nodes send it again.
    """
    if not hub.world.is_right():
        return
    now = hub.world.now()
    with hub.db.begin() as tx:
        current = store.documents.agreed_on(tx).roster
        for data, proposed_at in store.documents.proposed_with_time(tx):
            envelope = Envelope.FromString(data)
            try:
                body = documents.read(envelope)
            except SamprasanError:  # an earlier version took what this one does not read
                store.documents.drop(tx, signing.digest(envelope))
                continue
            is_confirmed = _is_confirmed_by_nodes(body, current)
            ends = proposed_at + limits.DOCUMENT_LIFETIME_MS if is_confirmed else body.expires_at
            if ends <= now and not (isinstance(body, Roster) and body.version == 1):
                store.documents.drop(tx, signing.digest(envelope))


def _is_confirmed_by_nodes(body: Body, current: Roster | None) -> bool:
    """Whether no person approves it in time: roster 1 waits for the last agency, a ceremony's result for its nodes."""
    return isinstance(body, Roster) and (body.version == 1 or rosters.is_result(body, current))


def _check_next(body: Body, version_in_force: int, federation_id: bytes) -> None:
    kind = documents.kind_name(documents.kind_of(body))
    if body.version != version_in_force + 1:
        raise Refused("document_version", kind=kind, version=body.version, expected=version_in_force + 1)
    if body.federation_id != federation_id:
        raise Unproven("federation", kind=kind)


def _check_time(body: Body, current: Roster | None, now: int) -> None:
    kind = documents.kind_name(documents.kind_of(body))
    if body.expires_at > now + 2 * limits.DOCUMENT_LIFETIME_MS:
        raise Malformed("document_form", kind=kind, problem="expires_at")
    if body.expires_at <= now and not _is_confirmed_by_nodes(body, current):
        raise _expired(body)


def _check_time_left(body: Body, current: Roster | None, now: int) -> None:
    """A proposal is to be read by people, and is news to every node."""
    if body.expires_at < now + limits.DOCUMENT_LIFETIME_MS_MIN and not _is_confirmed_by_nodes(body, current):
        raise _expired(body)


def _expired(body: Body) -> Refused:
    return Refused("document_expired", kind=documents.kind_name(documents.kind_of(body)), version=body.version)

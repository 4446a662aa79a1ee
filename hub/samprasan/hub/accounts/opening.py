"""Opening accounts: a subject finds its account or gets a new one, and the agency that asks is admitted to it.

No pseudonym and no account enters the hub's chain: it says only that the agency was admitted to one.  Requests are not
stored, and the answer does not say whether an account is new.  Who asks again before its admission is used or over is
told the same; what nobody has used in time is forgotten.
"""

from collections.abc import Mapping, Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.accounts import evaluations
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.hub.store.admissions import Unused
from samprasan.hub.store.pseudonyms import Key
from samprasan.keys import identifiers
from samprasan.keys.errors import Malformed, Refused
from samprasan.ledger import admissions, calendar, policy
from samprasan.ledger.agreement import Agreed
from samprasan.ledger.batch_form import DIGEST_BYTES, ID_BYTES, UPDATES_MAX
from samprasan.ledger.state import USED
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope

_PUBLIC_KINDS = (log_pb2.SUBJECT_KIND_ORGANIZATION, log_pb2.SUBJECT_KIND_COMMUNITY, log_pb2.SUBJECT_KIND_AREA)


def open_accounts(hub: Hub, agency: str, request: hub_pb2.OpenAccountsRequest) -> list[Envelope]:
    """A signed AccountOpened for each subject of the request, in its order.

    Raises Malformed ``request``, ``id_secret`` and what else a public id may lack; Refused ``key_epoch`` for a
    pseudonym of another linking key than that in force, ``registry_unknown``, ``not_covered`` for more pseudonyms than
    ids were evaluated for the agency; Unproven ``evaluation_total``.
    """
    _check_subjects(request)
    keys = [_key_of(subject) for subject in request.subjects]
    with hub.db.begin() as tx:
        store.log.lock_head(tx)  # no key goes meanwhile
        agreed = store.documents.agreed_on(tx)
        in_force = agreed.roster_with(agency).linking.key_epoch
        if not {epoch for _, _, epoch in keys} <= {store.pseudonyms.PUBLIC, in_force}:
            raise Refused("key_epoch", in_force=in_force)
        _check_registries(agreed, request, hub.world.now())
        intake.turn_due_in(tx, hub.world)  # nobody gets an account that is about to close
        account_of = _find_or_make_accounts(tx, hub.world, keys)
        heard = evaluations.news(tx, hub.world, request.evaluated, agency)
        wanted = {account_of[key]: (key[1], key[2]) for key in keys}
        told, new = _admissions_to(tx, hub.world, agency, wanted)
        secret = sum(wanted[each.account_id][1] > 0 for each in new)
        room = evaluations.allowance(tx, agency, heard)
        if secret > room:
            raise Refused("not_covered", asked=secret, evaluated=room)
        if len(new) > secret and store.admissions.count(tx, agency) + len(new) > limits.ADMISSIONS_UNUSED_MAX:
            raise Refused("admissions_unused", limit=limits.ADMISSIONS_UNUSED_MAX)
        entries = [*heard, *(log_pb2.Update(admitted=_admitted(each, *wanted[each.account_id])) for each in new)]
        for first in range(0, len(entries), UPDATES_MAX):
            intake.append_own(tx, hub.world, entries[first : first + UPDATES_MAX])
        store.admissions.keep(tx, new)
    answers = []
    for key, subject in zip(keys, request.subjects, strict=True):
        account_id = account_of[key]
        answer = hub_pb2.AccountOpened(
            federation_id=agreed.federation_id,
            agency=agency,
            request_id=request.request_id,
            subject_key=key[0],
            account_id=account_id,
            kind=subject.kind,
            key_epoch=subject.key_epoch,
        )
        if account_id in told:
            answer.admission, answer.lapses_at = told[account_id].secret, told[account_id].lapses_at
        answers.append(hub.world.sign(answer))
    return answers


def forget_lapsed(hub: Hub) -> bool:
    """Forget admissions whose time is over, and pseudonyms of which nothing else is known; whether there were any.

    The log's own clock decides: no Link that comes behind its newest entry can begin with them.
    """
    with hub.db.begin() as tx:
        now = store.log.lock_head(tx).appended_at
        if store.recovery.current(tx) is not None:
            return False
        lapsed = store.admissions.take_lapsed(tx, now, UPDATES_MAX)
        store.pseudonyms.forget_if_nobodys(tx, {each.account_id for each in lapsed})
    return bool(lapsed)


def _find_or_make_accounts(tx: Tx, world: World, keys: Sequence[Key]) -> dict[Key, bytes]:
    """The account of each subject; who has none is given a new one."""
    found = store.pseudonyms.accounts_of(tx, keys)
    made = {key: world.random_bytes(ID_BYTES) for key in dict.fromkeys(keys) if key not in found}
    store.pseudonyms.add(tx, made)
    return found | made


def _admissions_to(
    tx: Tx, world: World, agency: str, wanted: Mapping[bytes, tuple[int, int]]
) -> tuple[dict[bytes, Unused], list[Unused]]:
    """What a first Link of the agency spends on each account, by kind and key epoch, and which of these are new.

    There is nothing where its Link is open.
    """
    purposes = store.ledger.purposes_at(tx, agency, wanted)
    lacking = {account_id: each for account_id, each in wanted.items() if not purposes.get(account_id, set()) - {USED}}
    now = max(world.now(), store.log.head_now(tx).appended_at)
    told = store.admissions.unused(tx, agency, lacking)
    tags = {account_id: admissions.tag_of(agency, account_id, each.secret) for account_id, each in told.items()}
    said = store.admissions.of_tags(tx, agency, tags.values())
    for account_id, tag in tags.items():
        admission = said.get((agency, tag))
        is_of_key = admission is not None and admission.key_epoch == lacking[account_id][1]
        if not is_of_key or told[account_id].lapses_at <= now:
            del told[account_id]
    new = [
        Unused(agency, account_id, world.random_bytes(ID_BYTES), now + limits.ADMISSION_LIFETIME_MS)
        for account_id in lacking
        if account_id not in told
    ]
    return told | {each.account_id: each for each in new}, new


def _admitted(told: Unused, kind: int, key_epoch: int) -> log_pb2.Admitted:
    return log_pb2.Admitted(
        agency=told.agency,
        tag=admissions.tag_of(told.agency, told.account_id, told.secret),
        kind=log_pb2.SubjectKind.ValueType(kind),
        key_epoch=key_epoch,
        lapses_at=told.lapses_at,
    )


def _key_of(subject: hub_pb2.SubjectRef) -> Key:
    """What the subject is found by; a public id is hashed here.  Raises Malformed as identifiers do."""
    key = subject.subject_key
    if subject.public_id:
        key = identifiers.public_identifier(subject.public_id).public_subject_key()
    return key, int(subject.kind), subject.key_epoch


def _is_readable(subject: hub_pb2.SubjectRef) -> bool:
    if subject.public_id:
        is_public = not subject.subject_key and not subject.key_epoch and subject.kind in _PUBLIC_KINDS
        return is_public and len(subject.public_id) <= limits.PUBLIC_ID_CHARACTERS_MAX
    return len(subject.subject_key) == DIGEST_BYTES and subject.key_epoch > 0 and 1 <= subject.kind <= 4


def _check_registries(agreed: Agreed, request: hub_pb2.OpenAccountsRequest, now: int) -> None:
    """That the policy in force names the registers; else Refused ``registry_unknown``."""
    current = policy.in_force(agreed.policies.values(), calendar.day_of(now))
    named = current.registries if current else frozenset()
    for subject in request.subjects:
        registry = identifiers.public_identifier(subject.public_id).registry if subject.public_id else ""
        if registry and registry not in named:
            raise Refused("registry_unknown", registry=registry)


def _check_subjects(request: hub_pb2.OpenAccountsRequest) -> None:
    readable = len(request.request_id) == ID_BYTES and all(map(_is_readable, request.subjects))
    if not readable or not 1 <= len(request.subjects) <= limits.SUBJECTS_PER_REQUEST_MAX:
        raise Malformed("request", limit=limits.SUBJECTS_PER_REQUEST_MAX)

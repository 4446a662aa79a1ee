"""Each limit of the hub at n and at n + 1; and a warning that names it at 70 %."""

from collections.abc import Callable
from typing import Any

import pytest
from samprasan.hub import limits
from samprasan.hub.accounts import opening, totals
from samprasan.hub.log import checkpoints, intake
from samprasan.hub.members import documents, hello, mailbox
from samprasan.hub.process import status
from samprasan.keys import signing
from samprasan.keys.errors import SamprasanError
from samprasan.ledger import batch_form, limit_usage
from samprasan.ledger.limit_usage import Nearing
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Policy
from samprasan.v1.envelope_pb2 import Envelope

from tests.evaluating import covering, evaluated
from tests.federation import SAMPLES, Federation, propose_policy
from tests.policies import POLICY_2, proposal
from tests.signed_batches import Agency

Try = Callable[[Federation, int], str]
"""Do it with a size; the code or reason of the refusal, or nothing."""


def code_of(step: Callable[[], object]) -> str:
    try:
        step()
    except SamprasanError as problem:
        return problem.code
    return ""


def updates_in_a_batch(fed: Federation, count: int) -> str:
    agency = Agency(fed)
    batch = agency.batch(agency.link(), *(agency.award(1) for _ in range(count - 1)))
    return agency.send(agency.sign(batch)).payload_type.rpartition(".")[2].replace("receipt", "")


def batch_bytes(fed: Federation, size: int) -> str:
    agency = Agency(fed)
    batch = agency.batch(agency.link())
    code = batch_form.check(batch, size, agency.federation_id, "mpc")
    return "" if code is None else log.RefusalReason.Name(code)


def subjects_in_a_request(fed: Federation, count: int) -> str:
    subjects = [hub_pb2.SubjectRef(subject_key=n.to_bytes(32, "big"), kind=1, key_epoch=1) for n in range(count)]  # type: ignore[arg-type]
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, subjects=subjects, evaluated=[covering(fed, count)])
    return code_of(lambda: opening.open_accounts(fed.hub, "mpc", request))


def characters_of_a_public_id(fed: Federation, count: int) -> str:
    """The hub reads no more than a register and an id can have."""
    subject = hub_pb2.SubjectRef(public_id="th-area/" + "1" * (count - 8), kind=log.SUBJECT_KIND_AREA)
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, subjects=[subject])
    return code_of(lambda: opening.open_accounts(fed.hub, "mpc", request)).replace("id_length", "")


def accounts_in_a_request(fed: Federation, count: int) -> str:
    request = hub_pb2.GetTotalsRequest(request_id=b"r" * 16, account_ids=[n.to_bytes(16, "big") for n in range(count)])
    return code_of(lambda: totals.read_totals(fed.hub, "mpc", request))


def mail_bytes(fed: Federation, size: int) -> str:
    request = hub_pb2.PostMailRequest(to="nhco", sealed=bytes(size))
    return code_of(lambda: mailbox.post_mail(fed.hub, "mpc", request))


def mail_waiting(fed: Federation, count: int) -> str:
    request = hub_pb2.PostMailRequest(to="nhco", sealed=b"-")
    codes = [code_of(lambda: mailbox.post_mail(fed.hub, "mpc", request)) for _ in range(count)]
    assert not any(codes[:-1])
    assert not code_of(lambda: mailbox.post_mail(fed.hub, "codi", request)), "one that fills its own share"
    assert not code_of(lambda: mailbox.post_mail(fed.hub, "nhco", hub_pb2.PostMailRequest(to="mpc", sealed=b"-")))
    return codes[-1]


def documents_proposed(fed: Federation, count: int) -> str:
    codes = []
    for number in range(count):
        text = POLICY_2.replace("Joint credit policy", f"Joint credit policy {number}")
        envelope = proposal(fed, text)
        codes.append(code_of(lambda made=envelope: documents.submit_document(fed.hub, "mpc", made)))  # type: ignore[misc]
    assert not any(codes[:-1])
    return codes[-1]


def document_bytes(fed: Federation, size: int) -> str:
    envelope = Envelope(payload_type=signing.payload_type(Policy), payload=bytes(size))
    code = code_of(lambda: documents.submit_document(fed.hub, "mpc", envelope))
    return code if code == "envelope_over_limit" else ""  # zeros are no policy; that is told after the size


def refusals(fed: Federation, count: int) -> str:
    agency = Agency(fed)
    envelopes = [agency.sign(agency.batch(created_at=number, federation_id=b"x" * 16)) for number in range(count)]
    made = [intake.verify(fed.hub, "mpc", envelope) for envelope in envelopes]
    last = intake.append(fed.hub, made)[-1]
    return last.code if isinstance(last, SamprasanError) else ""


def evaluations_shown(fed: Federation, count: int) -> str:
    request = hub_pb2.HelloRequest(evaluated=[evaluated(fed, 1, "nhco", "mpc")] * count)
    return code_of(lambda: hello.answer_hello(fed.hub, "mpc", request))


def witnessed(fed: Federation, sizes: int = 0, receipts: int = 0) -> str:
    request = hub_pb2.WitnessRequest(sizes=[1] * sizes, log_indexes=[0] * receipts)
    return code_of(lambda: checkpoints.answer_question(fed.hub.db, "mpc", request))


LIMITS: dict[str, tuple[int, Try]] = {
    "WITNESSED_SIZES_MAX": (limits.WITNESSED_SIZES_MAX, lambda fed, n: witnessed(fed, sizes=n)),
    "PROVED_RECEIPTS_MAX": (limits.PROVED_RECEIPTS_MAX, lambda fed, n: witnessed(fed, receipts=n)),
    "PUBLIC_ID_CHARACTERS_MAX": (limits.PUBLIC_ID_CHARACTERS_MAX, characters_of_a_public_id),
    "EVALUATIONS_MAX": (limits.EVALUATIONS_MAX, evaluations_shown),
    "UPDATES_MAX": (limits.UPDATES_MAX, updates_in_a_batch),
    "BATCH_BYTES_MAX": (limits.BATCH_BYTES_MAX, batch_bytes),
    "SUBJECTS_PER_REQUEST_MAX": (limits.SUBJECTS_PER_REQUEST_MAX, subjects_in_a_request),
    "ACCOUNTS_PER_REQUEST_MAX": (limits.ACCOUNTS_PER_REQUEST_MAX, accounts_in_a_request),
    "MAIL_BYTES_MAX": (limits.MAIL_BYTES_MAX, mail_bytes),
    "MAIL_WAITING_MAX": (limits.MAIL_WAITING_MAX, mail_waiting),
    "PROPOSALS_OF_ONE_MAX": (limits.PROPOSALS_OF_ONE_MAX, documents_proposed),
    "DOCUMENT_BYTES_MAX": (limits.DOCUMENT_BYTES_MAX, document_bytes),
    "REFUSALS_PER_AGENCY_MAX": (limits.REFUSALS_PER_AGENCY_MAX, refusals),
}
# They bound what the hub itself does, not what others may send: tests/hub/process/test_sequencer.py and tests/wire.
OF_ITS_OWN = {
    "ADMISSIONS_UNUSED_MAX",  # tests/hub/accounts/test_opening.py
    "PROPOSALS_OF_ONE_BYTES_MAX",  # tests/hub/members/test_documents.py
    "WITHDRAWN_PER_DAY_MAX",  # tests/hub/members/test_dissent.py
    "CATALOGUES_PER_DAY_MAX",  # tests/node/counter/test_redemption.py, as is the next
    "BENEFITS_EVER_MAX",
    "SKETCH_CELLS_MAX",
    "PUSH_IN_FLIGHT_MAX",
    "PUSH_GROUP_MAX",
    "STREAMS_PER_AGENCY_MAX",
    "WRITES_IN_A_ROW_MAX",  # tests/hub/process/test_sequencer.py
    "CHANGES_KEPT_DAYS_MAX",  # tests/hub/integrators/test_approval.py
    "PAGE_BYTES_MAX",  # tests/hub/integrators/test_reader.py, as are the next
    "RECENT_CHANGES_MAX",
    "SUBSCRIPTIONS_MAX",
    "SNAPSHOT_SECONDS_MAX",  # tests/hub/process/test_changes_service.py, as is the next
    "SNAPSHOT_PART_SECONDS_MAX",
    "TURNS_AT_ONCE_MAX",  # tests/hub/accounts/test_opening.py
    "UNRECEIPTED_AHEAD_MAX",  # tests/hub/recovery/test_recovery.py
}


def test_every_limit_is_tried() -> None:
    named = {name for name in vars(limits) if name.endswith("_MAX")}
    assert named == LIMITS.keys() | OF_ITS_OWN


@pytest.mark.parametrize("name", LIMITS)
def test_n_is_taken_and_one_more_is_refused(fed: Federation, name: str) -> None:
    most, attempt = LIMITS[name]
    assert attempt(fed, most) == ""


@pytest.mark.parametrize("name", LIMITS)
def test_one_more_than_n_is_refused(fed: Federation, name: str) -> None:
    most, attempt = LIMITS[name]
    assert attempt(fed, most + 1) != ""


def settings(fed: Federation) -> dict[tuple[str, str], Any]:
    found = status.status(fed.hub.db, fed.hub.world.now())["warnings"]
    assert found == status.warnings(fed.hub.db, fed.hub.world.now())
    return {(each["setting"], each["agency"]): each["used"] for each in found}


def test_at_seventy_per_cent_status_names_the_setting(fed: Federation) -> None:
    assert settings(fed) == {}
    mail_waiting(fed, 699)
    assert settings(fed) == {}
    mail_waiting(fed, 1)
    assert settings(fed) == {("mail_waiting_max", "mpc → nhco"): 700}
    documents_proposed(fed, 7)
    assert settings(fed)["proposals_of_one_max", "mpc"] == 7


def test_an_agencys_awards_of_a_day_are_watched(fed: Federation) -> None:
    text = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    propose_policy(fed, text.replace("credits_per_agency_day_max = 1_000_000", "credits_per_agency_day_max = 1_000"))
    agency = Agency(fed)
    agency.send(agency.sign(agency.batch(agency.link(), agency.award(350), agency.award(349))))
    assert settings(fed) == {}
    agency.send(agency.sign(agency.batch(agency.award(1))))
    assert settings(fed) == {("policy: credits_per_agency_day_max", "mpc"): 700}
    fed.clock.now_ms += 86_400_000
    assert settings(fed) == {}


@pytest.mark.parametrize(("used", "is_near"), [(69, False), (70, True), (100, True)])
def test_seventy_per_cent_is_near(used: int, is_near: bool) -> None:
    assert bool(limit_usage.near([Nearing("x", "", used, 100)])) == is_near

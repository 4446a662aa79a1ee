"""What the hub can receive, field by field: nothing that could hold an id, a name, or a text about a person."""

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from samprasan.v1 import changes_pb2, hub_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log

RECEIVED = {
    "JoinRequest",
    "Application",
    "HelloRequest",
    "OpenAccountsRequest",
    "RekeyRequest",
    "PushRequest",
    "Batch",
    "GetTotalsRequest",
    "PostMailRequest",
    "ReceiveMailRequest",
    "AcknowledgeMailRequest",
    "SubmitDocumentRequest",
    "SubmitDissentRequest",
    "Dissent",
    "Roster",
    "Policy",
    "Grant",
    "Move",
    "Catalogue",
    "Cut",
    "ListDocumentsRequest",
    "WitnessRequest",
    "CosignRequest",
    "ReconcileRequest",
    "RecallRequest",
    "RefeedRequest",
    "AccountOpened",
    "EvaluationTotal",
    "Receipt",
    "Integrator",
    "IssueTokenRequest",
    "SnapshotRequest",
    "FollowRequest",
    "AcknowledgeRequest",
    "ResolveRequest",
    "HandleToken",
}
# Every field the hub can receive, by message.  A new one is added here only after asking: can it hold an id, a name,
# or a text about a person or a deed?
ALLOWED = {
    "JoinRequest": {"invite_secret", "application"},
    "Application": {
        "agency",
        "signing_key",
        "sealing_key",
        "certificate_request",
    },
    "ShareCommitment": {"agency", "index", "point"},
    "Envelope": {"payload_type", "payload", "signatures"},
    "Signature": {"key_id", "signature"},
    "HelloRequest": {"federation_id", "head", "evaluated", "newest_receipt", "cut_version"},
    "RecallRequest": {"own", "after_seq"},
    "RefeedRequest": {"entry", "account", "checkpoint", "cut", "evaluated"},
    "LogEntry": {"batch", "receipt", "documents"},
    "AccountOpened": {
        *("federation_id", "agency", "request_id", "subject_key", "account_id", "kind", "key_epoch"),
        *("admission", "lapses_at"),
    },
    "Receipt": {"federation_id", "agency", "seq", "batch_digest", "log_index", "appended_at", "outcomes", "cuts"},
    "Outcome": {"kind", "reason", "left", "owed"},
    "Evaluated": {"total"},
    "EvaluationTotal": {"federation_id", "requester", "evaluator", "total"},
    "Head": {"seq", "digest"},
    "OpenAccountsRequest": {"request_id", "subjects", "evaluated"},
    "SubjectRef": {"subject_key", "kind", "key_epoch", "public_id"},
    "RekeyRequest": {"request_id", "key_epoch", "accounts"},
    "Rekeyed": {"account_id", "subject_key"},
    "PushRequest": {"batch", "own_seq"},
    "Batch": {"federation_id", "agency", "seq", "previous", "created_at", "updates"},
    "Update": {
        *("op_id", "link", "unlink", "award", "reverse", "reserve", "post", "void", "refund"),
        *("admitted", "activate", "expire", "turn", "evaluated", "withdrawn"),
    },
    "Reserve": {"account_id", "credits", "benefit_agency", "benefit", "benefit_digest", "ttl_seconds"},
    "Post": {"hold_id", "credits"},
    "Void": {"hold_id", "reason"},
    "Refund": {"agency", "hold_id", "credits", "reason"},
    "Expire": {"agency", "hold_id"},
    "Link": {"account_id", "purposes", "admission"},
    "Unlink": {"account_id", "admission"},
    "Award": {"account_id", "credits", "dimension", "month", "policy_version", "replaces", "restores"},
    "Reverse": {"award_op_id", "reason"},
    "Admitted": {"agency", "tag", "kind", "key_epoch", "lapses_at"},
    "Turn": {"day", "prefix"},
    "Activate": {"document", "version", "digest"},
    "Withdrawn": {"digest", "dissents"},
    "GetTotalsRequest": {"request_id", "account_ids"},
    "PostMailRequest": {"to", "sealed"},
    "ReceiveMailRequest": {"after"},
    "AcknowledgeMailRequest": {"number"},
    "SubmitDocumentRequest": {"document"},
    "SubmitDissentRequest": {"dissent"},
    "Dissent": {"federation_id", "document", "version", "digest", "agency", "reason"},
    "ListDocumentsRequest": set(),
    "WitnessRequest": {"sizes", "log_indexes"},
    "CosignRequest": {"size", "seconds", "signature"},
    "ReconcileRequest": {"begin", "more", "ask", "verdict"},
    "ReconcileBegin": {"nonce"},
    "ReconcileMore": set(),
    "ReconcileAsk": {"account_ids"},
    "ReconcileVerdict": {"causes"},
    "CauseCount": {"cause", "accounts"},
    "Roster": {
        "federation_id",
        "version",
        "created_at",
        "expires_at",
        "threshold",
        "members",
        "hub",
        "linking",
        "next",
        "plan",
    },
    "LinkingPlan": {"key_epoch", "share_version", "dealers"},
    "Member": {"agency", "name", "signing_key", "sealing_key"},
    "HubKeys": {"signing_key", "tls_ca"},
    "LinkingKey": {"key_epoch", "share_version", "commitments", "transcript"},
    "Grant": {"federation_id", "version", "created_at", "expires_at", "agency", "elements", "valid_until"},
    "Catalogue": {"federation_id", "version", "created_at", "expires_at", "agency", "benefits"},
    "Cut": {"federation_id", "version", "created_at", "expires_at", "checkpoint"},
    "Integrator": {
        *("federation_id", "version", "created_at", "expires_at", "name", "title", "purpose"),
        *("scope", "quotas", "valid_until"),
    },
    "Scope": {"agencies", "dimensions", "kinds", "causes", "balances"},
    "IntegratorQuotas": {"streams", "snapshots_per_day"},
    "IssueTokenRequest": {"account_id", "integrator"},
    "SnapshotRequest": {"subscription", "filter"},
    "FollowRequest": {"subscription", "after", "filter"},
    "AcknowledgeRequest": {"subscription", "cursor"},
    "ResolveRequest": {"token"},
    "HandleToken": {"federation_id", "integrator", "agency", "expires_at", "sealed"},
    "Filter": {"agencies", "dimensions", "kinds", "causes"},
    "Benefit": {
        *("code", "title_th", "title_en", "credits", "stock", "per_subject_max", "period"),
        *("kinds", "dimensions", "areas", "valid_from", "valid_until"),
    },
    "Move": {
        "federation_id",
        "version",
        "created_at",
        "expires_at",
        "agency",
        "account",
        "awards",
        "credits",
        "reason",
        "move_id",
    },
    "Policy": {
        "federation_id",
        "version",
        "created_at",
        "expires_at",
        "title_th",
        "title_en",
        "valid_from",
        "limits",
        "categories",
        "registries",
    },
    "PolicyLimits": {
        "credits_per_update_max",
        "credits_per_agency_day_max",
        "linking_elements_per_day",
        "hold_seconds_max",
        "pending_days",
        "expire_after_fiscal_years",
        "write_offs_per_agency_day_max",
        "reserves_per_agency_day_max",
    },
    "Category": {"code", "dimension", "title_th", "title_en", "unit", "credits_per_unit", "quantity_max_thousandths"},
}
TEXTS = {
    ("Envelope", "payload_type"),
    ("Application", "agency"),
    ("EvaluationTotal", "requester"),
    ("EvaluationTotal", "evaluator"),
    ("SubjectRef", "public_id"),
    ("Policy", "registries"),
    ("ShareCommitment", "agency"),
    ("Dissent", "agency"),
    ("LinkingPlan", "dealers"),
    ("Batch", "agency"),
    ("PostMailRequest", "to"),
    ("AccountOpened", "agency"),
    ("Admitted", "agency"),
    ("Receipt", "agency"),
    ("Member", "agency"),
    ("Member", "name"),
    ("Grant", "agency"),
    ("Move", "agency"),
    ("Reserve", "benefit_agency"),
    ("Reserve", "benefit"),
    ("Refund", "agency"),
    ("Expire", "agency"),
    ("Catalogue", "agency"),
    ("Benefit", "code"),
    ("Benefit", "title_th"),
    ("Benefit", "title_en"),
    ("Benefit", "areas"),
    ("Policy", "title_th"),
    ("Policy", "title_en"),
    ("Category", "code"),
    ("Category", "title_th"),
    ("Category", "title_en"),
    ("Category", "unit"),
    ("Integrator", "name"),
    ("Integrator", "title"),
    ("Integrator", "purpose"),
    ("Scope", "agencies"),
    ("IssueTokenRequest", "integrator"),
    ("SnapshotRequest", "subscription"),
    ("FollowRequest", "subscription"),
    ("AcknowledgeRequest", "subscription"),
    ("HandleToken", "integrator"),
    ("HandleToken", "agency"),
    ("Filter", "agencies"),
}


def reachable() -> dict[str, Descriptor]:
    """Every message that can come to the hub: requests, signed payloads, and what they hold."""
    waiting: list[Descriptor] = []
    for module in (hub_pb2, changes_pb2, linking_pb2, log, __import__("samprasan.v1.documents_pb2", fromlist=["x"])):
        waiting += [each for each in module.DESCRIPTOR.message_types_by_name.values() if each.name in RECEIVED]
    found: dict[str, Descriptor] = {}
    while waiting:
        message = waiting.pop()
        if message.name not in found:
            found[message.name] = message
            waiting += [field.message_type for field in message.fields if field.message_type]
    return found


def test_the_hub_can_receive_these_fields_and_no_others() -> None:
    assert {name: {field.name for field in message.fields} for name, message in reachable().items()} == ALLOWED


def test_only_public_facts_come_to_the_hub_as_text() -> None:
    texts = {
        (name, field.name)
        for name, message in reachable().items()
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_STRING
    }
    assert texts == TEXTS


def test_every_request_of_the_hub_is_on_the_list() -> None:
    services = [*hub_pb2.DESCRIPTOR.services_by_name.values(), *changes_pb2.DESCRIPTOR.services_by_name.values()]
    for service in services:
        for method in service.methods:
            assert method.input_type.name in RECEIVED


@pytest.mark.parametrize(("message", "kept"), [("Update", range(19, 20))])
def test_what_the_protocol_adds_later_has_its_numbers_kept(message: str, kept: list[int]) -> None:
    taken = {field.number for field in log.DESCRIPTOR.message_types_by_name[message].fields}
    assert taken.isdisjoint(kept)


def test_what_an_integrator_is_sent_has_no_field_for_an_account_or_a_text_about_a_deed() -> None:
    sent = {"SnapshotResponse", "FollowResponse", "AcknowledgeResponse", "ResolveResponse"}
    waiting = [changes_pb2.DESCRIPTOR.message_types_by_name[name] for name in sent]
    found: dict[str, set[str]] = {}
    while waiting:
        message = waiting.pop()
        found[message.name] = {field.name for field in message.fields}
        waiting += [field.message_type for field in message.fields if field.message_type]
    assert "Change" not in found
    assert found["Event"] == {
        *("id", "type", "handle", "kind", "agency", "cause", "dimension", "credits", "at", "cursor"),
        *("earned", "available", "held", "spent", "benefit", "policy_version"),
    }
    assert not {"account_id", "subject_key"} & set().union(*found.values())

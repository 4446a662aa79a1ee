"""Forms: what makes a batch unreadable for ever, and op_ids."""

import uuid
from typing import Any

import pytest
from samprasan.ledger import batch_form
from samprasan.v1 import log_pb2 as log

FEDERATION = b"f" * 16
LINK = log.Update(op_id=b"o" * 16, link=log.Link(account_id=b"a" * 16, purposes=[log.PURPOSE_SHARE]))


def batch(**changes: Any) -> log.Batch:
    values: dict[str, Any] = {
        "federation_id": FEDERATION,
        "agency": "mpc",
        "seq": 1,
        "previous": bytes(32),
        "updates": [LINK],
    }
    return log.Batch(**(values | changes))


def link(**changes: Any) -> log.Update:
    return log.Update(op_id=b"o" * 16, link=log.Link(**({"account_id": b"a" * 16, "purposes": [1]} | changes)))


def test_a_good_batch_passes() -> None:
    assert batch_form.check(batch(), 200, FEDERATION, "mpc") is None
    assert (
        batch_form.check(batch(updates=[LINK] * batch_form.UPDATES_MAX), batch_form.BATCH_BYTES_MAX, FEDERATION, "mpc")
        is None
    )


def award(**changes: Any) -> log.Update:
    return log.Update(op_id=b"o" * 16, award=log.Award(account_id=b"a" * 16, **changes))


def reverse(award_op_id: bytes, reason: int) -> log.Update:
    change = log.Reverse(award_op_id=award_op_id, reason=log.ReverseReason.ValueType(reason))
    return log.Update(op_id=b"o" * 16, reverse=change)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (batch(updates=[]), log.REFUSAL_REASON_OVER_LIMIT),
        (batch(updates=[LINK] * (batch_form.UPDATES_MAX + 1)), log.REFUSAL_REASON_OVER_LIMIT),
        (batch(federation_id=b"x" * 16), log.REFUSAL_REASON_NOT_ITS_OWN),
        (batch(agency="nhco"), log.REFUSAL_REASON_NOT_ITS_OWN),
        (batch(seq=0), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(previous=b"short"), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[log.Update(op_id=b"o" * 16)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[log.Update(op_id=b"o" * 15, link=LINK.link)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[log.Update(link=LINK.link)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[link(account_id=b"a")]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[link(purposes=[])]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[link(purposes=[2, 1])]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[link(purposes=[1, 1])]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[link(purposes=[9])]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[award(replaces=b"short")]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[reverse(b"short", 1)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[reverse(b"o" * 16, 0)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (batch(updates=[reverse(b"o" * 16, 3)]), log.REFUSAL_REASON_UNREADABLE_FIELD),
        (
            batch(
                updates=[
                    log.Update(
                        op_id=b"o" * 16,
                        admitted=log.Admitted(agency="mpc", tag=b"a" * 16, kind=log.SUBJECT_KIND_PERSON, lapses_at=1),
                    )
                ]
            ),
            log.REFUSAL_REASON_UNREADABLE_FIELD,
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(changed: log.Batch, reason: Any) -> None:
    assert batch_form.check(changed, 200, FEDERATION, "mpc") == reason


def test_a_batch_over_a_mebibyte_is_refused() -> None:
    assert batch_form.check(batch(), batch_form.BATCH_BYTES_MAX + 1, FEDERATION, "mpc") == log.REFUSAL_REASON_OVER_LIMIT


def test_an_op_id_is_a_version_7_uuid_that_tells_the_day_and_no_more() -> None:
    morning, evening = 1_795_402_800_000, 1_795_402_800_000 + 9 * 3_600_000
    made = uuid.UUID(bytes=batch_form.new_op_id(b"\xff" * 10, morning))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert batch_form.new_op_id(bytes(10), morning) == batch_form.new_op_id(bytes(10), evening)
    assert (made.int >> 80) % 86_400_000 == 0
    assert batch_form.new_op_id(b"\x01" * 10, morning) != batch_form.new_op_id(b"\x02" * 10, morning)

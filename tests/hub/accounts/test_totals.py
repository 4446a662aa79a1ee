"""Totals, as the hub gives them: to who has a Link for *redeem* alone, and nobody learns which accounts exist."""

from samprasan.node import store
from samprasan.v1 import hub_pb2, log_pb2

from tests.federation import Federation, deed
from tests.leaving import withdraw


def accounts_at(fed: Federation, agency: str) -> list[bytes]:
    with fed.nodes[agency].db.read() as tx:
        return list(store.links.every_account(tx))


def asked(fed: Federation, agency: str, account_id: bytes) -> hub_pb2.AccountTotals:
    request = hub_pb2.GetTotalsRequest(request_id=b"r" * 16, account_ids=[account_id])
    answer = hub_pb2.Totals.FromString(fed.ask_hub(agency, "totals", request).payload)
    return answer.accounts[0]


def test_a_balance_is_told_to_who_has_a_link_for_redeem_alone(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(2, 1))
    fed.run()
    withdraw(fed, 1, "redeem")
    fed.run()
    (account,) = accounts_at(fed, "nhco")
    assert accounts_at(fed, "mpc") == [account]
    assert asked(fed, "nhco", account).available == 32
    for agency in ("mpc", "codi"):
        found = asked(fed, agency, account)
        assert found.declined == log_pb2.DECLINE_REASON_NOT_LINKED
        assert (found.available, found.earned, found.spent) == (0, 0, 0)
    nobodys = bytes(16)
    unknown, known = (asked(fed, "codi", each) for each in (nobodys, account))
    assert unknown.account_id != known.account_id
    unknown.account_id = account
    assert unknown == known, "who is not linked is not told which accounts exist"

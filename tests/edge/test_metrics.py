"""Metrics: read when asked, over HTTP, with no label but an agency."""

import urllib.request

import pytest
from samprasan.edge import metrics
from samprasan.edge.metrics import Gauge
from samprasan.keys.errors import SamprasanError, Unavailable


def scraped(address: str) -> list[str]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_gauges_are_read_each_time_somebody_asks() -> None:
    values = iter([1.0, 2.0])

    def read() -> list[Gauge]:
        return [Gauge("samprasan_x", "X.", {"": next(values)}), Gauge("samprasan_y", "Y.", {"mpc": 3, "codi": 4})]

    with metrics.served("127.0.0.1:0", read) as address:
        assert address
        rest = ['samprasan_y{agency="mpc"} 3.0', 'samprasan_y{agency="codi"} 4.0', "samprasan_up 1.0"]
        assert scraped(address) == ["samprasan_x 1.0", *rest]
        assert scraped(address) == ["samprasan_x 2.0", *rest]


def test_a_database_that_is_away_is_told() -> None:
    def read() -> list[Gauge]:
        raise Unavailable("database", problem="OperationalError")

    with metrics.served("127.0.0.1:0", read) as address:
        assert address
        assert scraped(address) == ["samprasan_up 0.0"]


def test_without_an_address_nothing_listens_and_a_taken_one_is_refused() -> None:
    with metrics.served("", list) as address:
        assert address is None
    with metrics.served("127.0.0.1:0", list) as address:
        assert address
        for wrong, code in ((address, "address_taken"), ("nowhere", "address")):
            with pytest.raises(SamprasanError) as refused, metrics.served(wrong, list):
                pass
            assert refused.value.code == code

"""Metrics for Prometheus: gauges that are read from the database when somebody asks, over plain HTTP at one address.

Nothing is counted along the way, so a metric and ``status`` never disagree.  A label is an agency's code, an
integrator's name, or none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samprasan.edge.configuration import address_of
from samprasan.keys.errors import Refused, SamprasanError

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its values by agency, or by another ``label``; "" stands for a value without one."""

    name: str
    help: str
    values: Mapping[str, float]
    label: str = "agency"


class _Gauges:
    def __init__(self, read: Callable[[], Sequence[Gauge]]) -> None:
        self._read = read

    def describe(self) -> "Iterator[GaugeMetricFamily]":
        """Nothing: the database is not asked before somebody scrapes."""
        return iter(())

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        """Every gauge now; ``samprasan_up`` is 0 if the database cannot be asked."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            gauges = self._read()
        except SamprasanError:
            gauges = []
        up = Gauge("samprasan_up", "1 if the database could be asked.", {"": bool(gauges)})
        for gauge in (*gauges, up):
            labels = [] if "" in gauge.values else [gauge.label]
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=labels)
            for name, value in gauge.values.items():
                family.add_metric([name] if labels else [], float(value))
            yield family


@contextmanager
def served(address: str, read: Callable[[], Sequence[Gauge]]) -> Iterator[str | None]:
    """Serve ``read()`` at ``HOST:PORT`` until the block ends; the address it got, None if ``address`` is empty.

    Raises Malformed ``address``, Refused ``address_taken``.
    """
    if not address:
        yield None
        return
    from prometheus_client import CollectorRegistry, start_http_server

    host, port = address_of(address)
    registry = CollectorRegistry()
    registry.register(_Gauges(read))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as problem:
        raise Refused("address_taken", address=address) from problem
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

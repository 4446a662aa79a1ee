"""The federation that a developer starts: its hub finds ports of its own."""

import socket
from pathlib import Path

import federation
import pytest

from tests import local


def test_a_hub_whose_port_somebody_takes_first_begins_at_another(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = local.copied(template, tmp_path / "federation")
    with socket.create_server(("127.0.0.1", 0)) as taken, monkeypatch.context() as patch:
        ports = [taken.getsockname()[1], *federation.free_ports(3)]
        patch.setattr(federation, "free_ports", lambda count: [ports.pop(0) for _ in range(count)])
        try:
            served.start("hub")
            assert served.answer("hub", "status")["agencies"]
            assert ports == []
        finally:
            served.stop()

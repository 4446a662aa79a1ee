"""One federation of real processes for all wire tests: the samples imported and settled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests import integrating, local
from tests.local import Live

SHARED = {
    "live": ("test_hostile", "test_hostile_bytes", "test_identity", "test_joining", "test_main_job"),
    "shown": ("test_integrators", "test_publish", "test_streams"),
}
assert all((Path(__file__).parent / f"{file}.py").exists() for files in SHARED.values() for file in files)


class ByFederation(LoadScopeScheduling):  # type: ignore[misc]
    """What shares a federation runs in one worker, so that it is brought up once; other files by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).stem
        return next((name for name, files in SHARED.items() if file in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFederation | None:
    """How the tests here are divided among workers, if they are to be by file."""
    return ByFederation(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def live(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The federation that tests look at and do not change."""
    with local.running(template, tmp_path_factory.mktemp("live") / "federation") as served:
        yield Live(served)


@pytest.fixture(scope="session")
def shown_to_all(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[integrating.Shown]:
    """A federation with two integrators."""
    with integrating.shown(template, tmp_path_factory.mktemp("shown")) as made:
        yield made


@pytest.fixture
def shown(shown_to_all: integrating.Shown) -> integrating.Shown:
    """The same, when all that the test before has given is in the log."""
    shown_to_all.load.wait()
    return shown_to_all

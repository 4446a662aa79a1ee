"""One federation of real processes for all wire tests: the samples imported and settled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import integrating, local
from tests.local import Live


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a federation runs in one process, so that it is brought up once; other files by file."""
    for item in items:
        shared = [name for name in ("live", "shown_to_all") if name in getattr(item, "fixturenames", ())]
        group = shared[0] if shared else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


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

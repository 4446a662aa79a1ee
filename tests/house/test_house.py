"""The house's own rules that no other gate holds."""

import tomllib

from tests.house.checkout import ROOT, sources, tracked


def test_the_namespace_has_no_init() -> None:
    assert [path for path in ROOT.glob("*/samprasan/__init__.py") if ".venv" not in path.parts] == []
    assert (ROOT / "proto/samprasan/v1/__init__.py").exists()


def test_what_must_not_be_committed_is_not() -> None:
    names = {path.name for path in tracked()}
    assert "uv.lock" not in names
    assert not any(path.suffix in {".pem", ".key", ".db"} for path in tracked())


def test_no_pinned_requirement_names_a_registry() -> None:
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text("utf-8")
        assert "http" not in text
        assert "--hash=sha256:" in text


def test_source_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")

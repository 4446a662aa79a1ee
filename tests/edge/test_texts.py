"""Everything said to people is said in Thai and in English, with the same values."""

import ast
import string
import tomllib
from pathlib import Path

import pytest
from samprasan.edge import texts as edge_texts
from samprasan.edge.texts import Words
from samprasan.keys.errors import Malformed

ROOT = Path(__file__).parents[2]
PACKAGES = {"samprasan.hub": ROOT / "hub/samprasan/hub", "samprasan.node": ROOT / "node/samprasan/node"}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_is_in_both_languages(package: str) -> None:
    for key, texts in tomllib.loads((PACKAGES[package] / "words.toml").read_text("utf-8")).items():
        assert set(texts) == {"th", "en"}, key
        assert placeholders(texts["th"]) == placeholders(texts["en"]) or key.startswith("import_"), key


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_that_is_asked_for_exists(package: str) -> None:
    known = tomllib.loads((PACKAGES[package] / "words.toml").read_text("utf-8"))
    asked: set[str] = set()
    for file in PACKAGES[package].rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "words":
                asked |= named(node.args[0])
    assert len(asked) > 5
    assert asked <= known.keys()


def named(argument: ast.expr) -> set[str]:
    """The keys that a call of ``words`` may ask for, as far as they stand there."""
    if isinstance(argument, ast.IfExp):
        return named(argument.body) | named(argument.orelse)
    return {argument.value} if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else set()


def test_every_detail_of_a_rejected_row_has_its_words() -> None:
    known = tomllib.loads((PACKAGES["samprasan.node"] / "words.toml").read_text("utf-8"))
    place = {"Rejected": 2, "UnreadableCell": 0, "BrokenRow": 0}  # of the detail among the arguments
    details = [
        argument.value
        for file in PACKAGES["samprasan.node"].rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place
        for argument in node.args[place[node.func.id] :][:1]
        if isinstance(argument, ast.Constant)
    ]
    details.append("formula")  # chosen in an expression
    assert len(details) > 20
    assert {f"reject_{detail!s}" for detail in details} <= known.keys()


def test_the_language_is_chosen_by_option_then_environment_then_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words("samprasan.hub")
    for name in ("SAMPRASAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "th_TH.UTF-8")
    edge_texts.choose(None)
    assert words("yes") == "ใช่"
    monkeypatch.setenv("SAMPRASAN_LANG", "en")
    edge_texts.choose(None)
    assert words("yes") == "yes"
    edge_texts.choose("th")
    assert words("yes") == "ใช่"
    with pytest.raises(Malformed):
        edge_texts.choose("de")
    edge_texts.choose("en")

"""Every error that can be raised has its words, in both languages, and they ask for no value that is not given."""

import ast
import string
from pathlib import Path

import pytest
from samprasan.keys.errors import LANGUAGES, Malformed, catalogue

ROOT = Path(__file__).parents[2]
CLASSES = {"Malformed", "Unproven", "Refused", "Unavailable"}
INDIRECT = {"node_went_back", "hub_went_back", "chain_fork"}  # chosen from a table in node/sync/
FROM_THE_WIRE = {"hub_answer", "hub_unreachable"}


def raised() -> dict[str, list[set[str]]]:
    """Code → the values given at each place that raises it."""
    found: dict[str, list[set[str]]] = {}
    for file in ROOT.glob("*/samprasan/**/*.py"):
        if "_pb2" in file.name:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    found.setdefault(str(code.value), []).append({each.arg or "" for each in node.keywords})
    return found


RAISED = raised()


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_and_the_code_name_the_same_errors() -> None:
    assert len(RAISED) > 60
    assert RAISED.keys() | INDIRECT | FROM_THE_WIRE == catalogue().keys() | FROM_THE_WIRE


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_an_error_says_what_and_what_to_do_in_both_languages(code: str) -> None:
    texts = catalogue()[code]
    assert set(texts) == {key for language in LANGUAGES for key in (language, f"{language}_hint")}
    assert all(texts.values())
    assert placeholders(texts["th"]) == placeholders(texts["en"])
    for given in RAISED.get(code, []):
        for text in texts.values():
            assert placeholders(text) <= given


def test_an_unknown_code_from_a_newer_hub_still_says_something() -> None:
    problem = Malformed("something_new", value=1)
    assert (problem.text("th"), problem.hint("th")) == ("something_new", "")

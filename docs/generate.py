"""Write the reference pages that are made from the code: commands, errors, messages.  ``make docs`` runs this."""

import ast
import re
import sys
from pathlib import Path

import typer
from samprasan.client.__main__ import app as client
from samprasan.hub.__main__ import app as hub
from samprasan.keys.errors import catalogue
from samprasan.node.__main__ import app as node

REFERENCE = Path(__file__).parent / "reference"
HERE = Path(__file__).parents[1]
PROTO = HERE / "proto"
ROOTS = ("keys", "ledger", "edge", "client", "node", "hub")
_LISTS = {"migrations", "store"}  # one module a version, one an aggregate
_BLOCK = re.compile(r"(?:message|enum|service) (?P<name>\w+)")
_FIELD = re.compile(r"(?P<type>(?:repeated |optional )?[\w.]* ?)\b(?P<name>\w+) = \d+;")
_METHOD = re.compile(r"rpc (?P<name>\w+)(?P<type>\(.*\));")
PROGRAMS = {"samprasan-hub": hub, "samprasan-node": node, "samprasan-client": client}


def commands() -> str:
    """Every command with its help."""
    lines = ["# Commands", "", "Made from the programs by `make docs`.", ""]
    for name, app in PROGRAMS.items():
        lines += _section(name, typer.main.get_command(app), 2)
    return "\n".join(lines).rstrip() + "\n"


def _section(name: str, command: object, level: int) -> list[str]:
    subcommands = getattr(command, "commands", {})
    help_text = (getattr(command, "help", "") or "").strip()
    lines = [f"{'#' * level} {name}", "", help_text, ""]
    if not subcommands:
        for parameter in getattr(command, "params", []):
            if parameter.name == "help":
                continue
            label = ", ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name.upper()
            lines.append(f"- `{label}`: {getattr(parameter, 'help', None) or ''}".rstrip(": "))
        lines.append("")
    for each, subcommand in sorted(subcommands.items()):
        lines += _section(f"{name} {each}", subcommand, level + 1)
    return lines


def errors() -> str:
    """Every error with what it says and what to do."""
    lines = ["# Errors", "", "Made from `keys/samprasan/keys/errors.toml` by `make docs`.", ""]
    for code, texts in sorted(catalogue().items()):
        lines += [
            f"## {code}",
            "",
            f"{texts['en']}  *{texts['en_hint']}*",
            "",
            f"{texts['th']}  *{texts['th_hint']}*",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def changes() -> str:
    """The messages of change streams, as `changes.proto` describes them."""
    lines = ["# Change streams", "", "Made from `proto/samprasan/v1/changes.proto` by `make docs`.", ""]
    comment: list[str] = []
    is_table = False
    for line in (PROTO / "samprasan" / "v1" / "changes.proto").read_text("utf-8").splitlines():
        text = line.strip()
        if text.startswith("//"):
            comment.append(text.removeprefix("//").strip())
            continue
        if found := _BLOCK.match(text):
            lines += ["", f"## {found['name']}", "", " ".join(comment), ""]
            is_table = False
        elif found := _FIELD.match(text) or _METHOD.match(text):
            if not is_table:
                lines += ["| name | type | |", "|---|---|---|"]
                is_table = True
            lines.append(f"| `{found['name']}` | {found['type'].strip()} | {' '.join(comment)} |")
        comment = []
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def modules() -> str:
    """Every root and room with its modules, as the rooms' docstrings say."""
    lines = [
        "# Modules",
        "",
        "Made from the rooms' docstrings by `make docs`.  Each module imports only what stands below it.",
        "",
    ]
    for root in ROOTS:
        package = HERE / root / "samprasan" / root
        lines += _room(package, root, 2)
        for room in sorted(path.parent for path in package.glob("*/__init__.py") if path.parent.name not in _LISTS):
            lines += _room(room, f"{root}/{room.name}", 3)
    return "\n".join(lines).rstrip() + "\n"


def _room(folder: Path, name: str, level: int) -> list[str]:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    caption = text.split("\n\n")[0].split("  ")[0]
    listed = [line.replace("``", "`") for line in text.splitlines() if line.startswith("- ``")]
    return [f"{'#' * level} {name}", "", " ".join(caption.replace("``", "`").split()), "", *listed, ""]


PAGES = {"commands.md": commands, "errors.md": errors, "changes.md": changes, "modules.md": modules}


def main() -> int:
    """Write every page."""
    for name, write in PAGES.items():
        (REFERENCE / name).write_text(write(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

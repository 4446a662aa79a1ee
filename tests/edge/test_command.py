"""The command line's last resort: a fault of ours tells its kind and place, and no value."""

import pytest
from samprasan.edge import command, texts

from tests.commands import _run


def test_an_unexpected_exception_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    app = command.application("A program with a fault.")

    @app.command()
    def fails() -> None:
        raise ValueError("1101700203450 นายสมมติ")

    monkeypatch.setenv("SAMPRASAN_LANG", "en")
    texts.choose("en")
    done = _run(app, [])
    assert done.returncode == 1
    assert "error: The program failed inside (ValueError)." in done.stderr
    assert "fails:" in done.stderr
    assert "1101700203450" not in done.stderr + done.stdout
    assert "สมมติ" not in done.stderr + done.stdout

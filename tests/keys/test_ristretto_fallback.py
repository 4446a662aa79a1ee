"""Where the system has no libsodium, the one that rbcl carries serves, and leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import ctypes.util
ctypes.util.find_library = lambda name: None
from samprasan.keys import ristretto
library, source = ristretto.library()
assert source == "rbcl", source
print(ristretto.multiply_base(7).hex())
"""


def test_the_bundled_library_computes_the_same(tmp_path: Path) -> None:
    from samprasan.keys import ristretto

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env={"TMPDIR": str(tmp_path)}
    )
    assert done.stdout.strip() == ristretto.multiply_base(7).hex()
    assert list(tmp_path.iterdir()) == []

"""``make bench``: measure, and print both sides and the ratio."""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "local"))

from tests.bench import exports, following, hostile, linking, push, reconciling, redeem, servers  # noqa: E402


def main() -> None:
    """Every benchmark, in one run."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with servers.postgresql() as url:
            transactions = servers.pgbench_transactions_per_second(url)
            print(
                f"pgbench, TPC-B-like, {servers.PGBENCH_CLIENTS} clients: {transactions:,.0f} transactions/s",
                flush=True,
            )
            on_postgresql = push.updates_per_second(folder / "postgresql", url)
            show("signed updates to receipt, mTLS, PostgreSQL", on_postgresql, transactions)
            redeem.run(folder / "redeem", url)
        on_sqlite = push.updates_per_second(folder / "sqlite", "")
        show("signed updates to receipt, mTLS, SQLite", on_sqlite, transactions)
        hostile.run(folder / "hostile")
        exports.run(folder)
        linking.run()
        reconciling.run()
        following.run(folder / "following")


def show(what: str, rate: float, against: float) -> None:
    """One line a figure."""
    print(f"{what}, {push.ACCOUNTS:,} accounts: {rate:,.0f} updates/s = {rate / against:.1f} × pgbench", flush=True)


if __name__ == "__main__":
    main()

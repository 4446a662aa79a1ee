"""How long a well-behaved node waits for an answer while somebody throws what he can at the hub.

The node asks for totals, one call after the other, over a connection it keeps, as a counter would.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from federation import Federation as LocalFederation
from samprasan.client.connection import Hub
from samprasan.node import home as node_homes
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.v1 import hub_pb2

from tests.bench.attackers import ATTACKS

ROOT = Path(__file__).parents[2]
RATIO_MAX = 2.0  # p99 under attack, against idle
CALLS = 1500
WARM_UP = 200


def run(folder: Path) -> None:
    """Print the node's p50 and p99, idle before each attack and under it; fails if one has it wait too long."""
    served, ratios = LocalFederation(folder), {}
    try:
        served.set_up()
        home = node_homes.open_home(served.home("mpc"))
        for attack, enemy in ATTACKS.items():
            idle = asyncio.run(serve.ask(home.connect, latencies))
            print(f"a node's call, hub idle: {shown(idle)}", flush=True)
            found, answers = under_attack(attack, served.home(enemy), home)
            ratios[attack] = found[1] / idle[1]
            told = f"{shown(found)}, p99 {ratios[attack]:.1f} × idle (goal under {RATIO_MAX})"
            print(f"… with {attack} ({answers:,} answers): {told}", flush=True)
        home.node.db.close()
    finally:
        served.stop()
    if late := [attack for attack, ratio in ratios.items() if ratio >= RATIO_MAX]:
        raise RuntimeError(f"others waited too long: {', '.join(late)}")


def under_attack(attack: str, enemy: Path, home: Home) -> tuple[tuple[float, float], int]:
    """The node's p50 and p99 meanwhile, and how many answers the attacker got; fails if it got none."""
    command = [sys.executable, "-m", "tests.bench.attackers", attack, str(enemy)]
    with tempfile.TemporaryFile() as heard:
        attacker = subprocess.Popen(command, stdout=heard, cwd=ROOT)
        try:
            time.sleep(2)
            found = asyncio.run(serve.ask(home.connect, latencies))
            answers = os.fstat(heard.fileno()).st_size
        finally:
            attacker.kill()
            attacker.wait()
    if not answers:
        raise RuntimeError(f"the attack did not happen: {attack}")
    return found, answers


def shown(found: tuple[float, float]) -> str:
    """Milliseconds."""
    return f"p50 {found[0] * 1000:.1f} ms, p99 {found[1] * 1000:.1f} ms"


async def latencies(hub: Hub) -> tuple[float, float]:
    """p50 and p99 of calls one after the other, seconds."""
    request = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=[bytes(16)])
    taken = []
    for number in range(WARM_UP + CALLS):
        begun = time.perf_counter()
        await hub.totals(request)
        if number >= WARM_UP:
            taken.append(time.perf_counter() - begun)
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]

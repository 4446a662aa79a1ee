"""How long a well-behaved node waits for an answer while somebody throws what he can at the hub.

The node asks for totals, one call after the other, over a connection it keeps, as a counter would.  Idle and attacked
take turns, because a shared machine is faster in one minute than in the next, and the worse turn counts.  The first has
all that an agency may do at once and in a day; between them the hub forgets how patient it had to be.
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
TURNS = 2
CALLS = 2000  # of a turn
FORGET_SECONDS = 65  # longer than the hub remembers faults
WARM_UP = 200


def run(folder: Path) -> None:
    """Print the node's p50 and p99, idle before each attack and under it; fails if one has it wait too long."""
    served, ratios = LocalFederation(folder), {}
    try:
        served.set_up()
        home = node_homes.open_home(served.home("mpc"))
        for attack, enemy in ATTACKS.items():
            idle, attacked, answers = in_turns(attack, served.home(enemy), home)
            worst = max(attacked, key=lambda each: percentile(each, 99))
            ratios[attack] = percentile(worst, 99) / percentile(idle, 99)
            print(f"a node's call, hub idle: {shown(idle)}", flush=True)
            told = f"{shown(worst)}, p99 {ratios[attack]:.1f} × idle (goal under {RATIO_MAX})"
            print(f"… with {attack} ({answers:,} answers), the worse turn: {told}", flush=True)
        home.node.db.close()
    finally:
        served.stop()
    if late := [attack for attack, ratio in ratios.items() if ratio >= RATIO_MAX]:
        raise RuntimeError(f"others waited too long: {', '.join(late)}")


def in_turns(attack: str, enemy: Path, home: Home) -> tuple[list[float], list[list[float]], int]:
    """Seconds of calls while the hub is idle, and in each turn of an attack; how many answers the attacker got."""
    idle: list[float] = []
    attacked: list[list[float]] = []
    answers = 0
    for turn in range(TURNS):
        if turn:
            time.sleep(FORGET_SECONDS)
        idle += asyncio.run(serve.ask(home.connect, latencies))
        found, answered = under_attack(attack, enemy, home)
        attacked.append(found)
        answers += answered
    return idle, attacked, answers


def under_attack(attack: str, enemy: Path, home: Home) -> tuple[list[float], int]:
    """Seconds of calls meanwhile, and how many answers the attacker got; fails if it got none."""
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


def shown(seconds: list[float]) -> str:
    """Milliseconds."""
    return f"p50 {percentile(seconds, 50) * 1000:.1f} ms, p99 {percentile(seconds, 99) * 1000:.1f} ms"


def percentile(seconds: list[float], percent: int) -> float:
    """What so many of a hundred calls took less than, or as long as."""
    return sorted(seconds)[len(seconds) * percent // 100]


async def latencies(hub: Hub) -> list[float]:
    """Seconds of calls one after the other."""
    request = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=[bytes(16)])
    taken = []
    for number in range(WARM_UP + CALLS):
        begun = time.perf_counter()
        await hub.totals(request)
        if number >= WARM_UP:
            taken.append(time.perf_counter() - begun)
    return taken

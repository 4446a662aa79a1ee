"""Linking: what an id costs each party, and what 100,000 ids cost all of them against openmined-psi in the same run.

CPU time of one process that does every party's work, one after the other; threads are shown apart, by the clock.
"""

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from samprasan.edge.world import in_threads
from samprasan.keys import pseudonym, ristretto, sharing
from samprasan.keys.identifiers import Scheme, parse
from samprasan.keys.pseudonym import Map

from tests.dealing import deal
from tests.federation import citizen

T = TypeVar("T")
IDS = 100_000
BATCH = 1024  # as a node asks
ROOT = Path(__file__).parents[2]


def _one_after_another(work: Callable[[Any], Any], values: Any) -> Any:
    return list(map(work, values))


class Parties:
    """A requester with share 1 and a peer with share 2, and what each of them spent."""

    def __init__(self, each: Map, *, proofs: bool) -> None:
        chance = random.Random(1)
        self._random = chance.randbytes
        self._mine, self._peer, _ = deal(
            pseudonym.random_scalar(chance.randbytes(64)), pseudonym.random_scalar(chance.randbytes(64))
        )
        self._each = each
        self._proofs = proofs
        self.requester = self.peer = 0.0

    def link(self, values: list[bytes]) -> list[bytes]:
        """The pseudonyms of one question's ids."""
        begun = time.process_time()
        blinds = [pseudonym.random_scalar(self._random(64)) for _ in values]
        blinded = list(self._each(lambda pair: pseudonym.blind(*pair), list(zip(values, blinds, strict=True))))
        self.requester += time.process_time() - begun

        begun = time.process_time()
        for element in blinded:
            ristretto.decode_element(element)
        scalar = self._peer.scalar
        evaluated = list(self._each(lambda element: pseudonym.evaluate(scalar, element), blinded))
        proof = None
        if self._proofs:
            nonce = pseudonym.random_scalar(self._random(64))
            proof = pseudonym.prove(scalar, nonce, blinded, evaluated, each=self._each)
        self.peer += time.process_time() - begun

        begun = time.process_time()
        if proof is not None:
            pseudonym.verify(self._peer.commitment(), blinded, evaluated, proof, each=self._each)
        known = list(zip(values, blinds, evaluated, strict=True))
        found = list(self._each(lambda each: sharing.combine(self._mine, self._peer.index, *each), known))
        self.requester += time.process_time() - begun
        return found


def link_all(values: list[bytes], each: Map, *, proofs: bool) -> Parties:
    """Every id through both parties."""
    parties = Parties(each, proofs=proofs)
    for start in range(0, len(values), BATCH):
        parties.link(values[start : start + BATCH])
    return parties


def intersection(ids: list[str]) -> float:
    """CPU seconds of both parties of openmined-psi, in an environment of its own: it pins another protobuf."""
    done = subprocess.run(
        [ROOT / ".venv-psi" / "bin" / "python", Path(__file__).with_name("intersection.py")],
        input="\n".join(ids),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def run() -> None:
    """Print every figure."""
    ids = [citizen(number) for number in range(IDS)]
    values = [parse(Scheme.CITIZEN, each).domain_bytes() for each in ids]
    theirs = intersection(ids)
    print(f"openmined-psi, {IDS:,} ids against {IDS:,}: {theirs:.1f} s CPU of both parties", flush=True)
    for proofs in (True, False):
        ours = link_all(values, _one_after_another, proofs=proofs)
        spent = ours.requester + ours.peer
        named = "with proofs" if proofs else "without proofs"
        print(
            f"linking {IDS:,} ids {named}: {spent:.1f} s CPU = {spent / theirs:.2f} × openmined-psi; citizens/s on one"
            f" core: requester {IDS / ours.requester:,.0f}, peer {IDS / ours.peer:,.0f}, all {IDS / spent:,.0f}",
            flush=True,
        )
    begun = time.perf_counter()
    link_all(values, in_threads, proofs=True)
    print(f"the same with proofs, in threads: {IDS / (time.perf_counter() - begun):,.0f} citizens/s by the clock")


if __name__ == "__main__":
    run()

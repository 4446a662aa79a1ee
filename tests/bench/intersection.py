"""CPU seconds that both parties of openmined-psi spend on the ids on stdin against as many, half of them the same."""

import sys
import time

import private_set_intersection.python as psi

FALSE_POSITIVES = 1e-9


def main() -> None:
    """Print the seconds."""
    ids = sys.stdin.read().split()
    half = len(ids) // 2
    others = ids[half:] + [f"x{each}" for each in ids[:half]]
    begun = time.process_time()
    client, server = psi.client.CreateWithNewKey(True), psi.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(FALSE_POSITIVES, len(ids), others, psi.DataStructure.RAW)
    answer = server.ProcessRequest(client.CreateRequest(ids))
    found = client.GetIntersection(setup, answer)
    spent = time.process_time() - begun
    if len(found) != len(ids) - half:
        raise SystemExit("openmined-psi found another intersection")
    print(spent)


if __name__ == "__main__":
    main()

"""Ed25519 at its edges: no signature here verifies, and no key that anybody could sign under is ever one.

The vectors are made from RFC 8032's definitions; the points of small order are checked against the curve's equation.
"""

import pytest
from samprasan.keys.signing import KeySigner, verify_ed25519

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, FIELD) % FIELD
SIGNER = KeySigner(b"\x05" * 32)
DATA = b"data"
SIGNATURE = SIGNER.sign(DATA)
R, S = SIGNATURE[:32], int.from_bytes(SIGNATURE[32:], "little")
ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_Y = (0, 1, ORDER_8, FIELD - ORDER_8, FIELD - 1, FIELD, FIELD + 1)
SMALL_KEYS = [(y | sign << 255).to_bytes(32, "little") for y in SMALL_Y for sign in (0, 1)]


def scalar(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "little")


def with_bit(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


LENGTHS = [(f"{length} bytes", (SIGNATURE * 3)[:length]) for length in (0, 1, 31, 32, 33, 63, 65, 96, 128)]
FIXED = [
    ("all zero", bytes(64)),
    ("all ones", b"\xff" * 64),
    ("R zero", bytes(32) + SIGNATURE[32:]),
    ("S zero", R + bytes(32)),
    ("halves swapped", SIGNATURE[32:] + R),
    ("of other data", SIGNER.sign(b"other")),
    ("of another key", KeySigner(b"\x06" * 32).sign(DATA)),
]
HIGH_S = [(f"S + {times} L", R + scalar(S + times * ORDER)) for times in range(1, 16)]
WRONG_S = [(f"S = {name}", R + scalar(value)) for name, value in (("L", ORDER), ("L - S", ORDER - S), ("S + 1", S + 1))]
SMALL_R = [(f"R of small order {number}", key + scalar(S)) for number, key in enumerate(SMALL_KEYS)]
SMALL_R_ZERO_S = [(f"R of small order {number}, S zero", key + bytes(32)) for number, key in enumerate(SMALL_KEYS)]
FLIPPED = [(f"bit {bit} flipped", with_bit(SIGNATURE, bit)) for bit in range(0, 512, 7)]
SIGNATURES = LENGTHS + FIXED + HIGH_S + WRONG_S + SMALL_R + SMALL_R_ZERO_S + FLIPPED


def test_there_are_enough_of_them_and_the_right_one_verifies() -> None:
    assert len({signature for _, signature in SIGNATURES}) >= 100
    assert verify_ed25519(SIGNER.public_key, DATA, SIGNATURE)


@pytest.mark.parametrize(("name", "signature"), SIGNATURES, ids=[name for name, _ in SIGNATURES])
def test_no_other_signature_verifies(name: str, signature: bytes) -> None:
    assert not verify_ed25519(SIGNER.public_key, DATA, signature), name


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    """Twice a point of the curve (RFC 8032 section 5.1.4, affine)."""
    x, y = point
    product = D * x * x * y * y % FIELD
    return 2 * x * y * pow(1 + product, -1, FIELD) % FIELD, (y * y + x * x) * pow(1 - product, -1, FIELD) % FIELD


@pytest.mark.parametrize("y", SMALL_Y)
def test_the_points_of_small_order_are_on_the_curve_and_have_that_order(y: int) -> None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    assert x * x % FIELD == square
    assert doubled(doubled(doubled((x, y % FIELD)))) == (0, 1)


@pytest.mark.parametrize("key", SMALL_KEYS, ids=[key.hex()[:8] + key.hex()[-2:] for key in SMALL_KEYS])
def test_nobody_can_sign_under_a_key_of_small_order(key: bytes) -> None:
    """Under the identity any R = S·B verifies in libraries that do not look: here not one of these forgeries does."""
    forged = [bytes([1]) + bytes(63), key + bytes(32), *(other + bytes(32) for other in SMALL_KEYS)]
    for number in range(32):
        for signature in forged:
            assert not verify_ed25519(key, b"message %d" % number, signature)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        SIGNER.public_key[:31],
        SIGNER.public_key + b"\0",
        with_bit(SIGNER.public_key, 255),
        (2).to_bytes(32, "little"),
        (FIELD + 5).to_bytes(32, "little"),
        b"\xff" * 32,
    ],
)
def test_what_is_no_key_verifies_nothing(key: bytes) -> None:
    assert not verify_ed25519(key, DATA, SIGNATURE)

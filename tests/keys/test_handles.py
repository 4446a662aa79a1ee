"""Handles, ids and cursors: one integrator's own, and found out if they are another's."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samprasan.keys.errors import Malformed
from samprasan.keys.handles import Names, Place, scope_tag

SECRET, FEDERATION = b"s" * 32, b"f" * 16
PLACES = st.builds(Place, st.integers(0, 2**40 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**8 - 1))
SCOPE = scope_tag(b"scope")


def names(
    integrator: str = "welfare-app", epoch: int = 1, secret: bytes = SECRET, federation: bytes = FEDERATION
) -> Names:
    return Names(secret, federation, integrator, epoch)


OTHERS = [names("bank"), names(epoch=2), names(secret=b"t" * 32), names(federation=b"g" * 16)]


def test_a_handle_is_the_hmac_of_the_account_under_the_integrators_key() -> None:
    key = SECRET
    for what in (f"{FEDERATION.hex()}/welfare-app/1", "handle"):
        key = hmac.digest(key, b"samprasan/v1/" + what.encode(), hashlib.sha256)
    assert names().handle(b"a" * 16) == hmac.digest(key, b"a" * 16, hashlib.sha256)


@given(st.lists(PLACES, max_size=20))
def test_a_cursor_opens_to_its_place(places: list[Place]) -> None:
    cursors = names().cursors("main", SCOPE)
    sealed = cursors.sealed(places)
    assert [cursors.opened(each) for each in sealed] == places
    assert len(set(sealed)) == len(set(places))


@given(PLACES)
def test_a_cursor_is_of_one_scope_alone(place: Place) -> None:
    (cursor,) = names().cursors("", SCOPE).sealed([place])
    assert names().cursors("", scope_tag(b"another")).opened(cursor) is None


@given(PLACES)
def test_nobody_elses_names_are_alike(place: Place) -> None:
    mine = {names().handle(b"a" * 16), *names().ids([place]), *names().cursors("", SCOPE).sealed([place])}
    mine |= {names().sealing_key, *names().cursors("main", SCOPE).sealed([place])}
    assert len(mine) == 5
    for other in OTHERS:
        theirs = {other.handle(b"a" * 16), other.sealing_key, *other.ids([place])}
        theirs |= set(other.cursors("", SCOPE).sealed([place]))
        assert not theirs & mine
        with pytest.raises(Malformed, match="cursor"):
            other.cursors("", SCOPE).opened(names().cursors("", SCOPE).sealed([place])[0])
    with pytest.raises(Malformed, match="cursor"):
        names().cursors("main", SCOPE).opened(names().cursors("", SCOPE).sealed([place])[0])


@given(st.binary(max_size=40))
def test_garbage_is_no_cursor(data: bytes) -> None:
    with pytest.raises(Malformed, match="cursor"):
        names().cursors("", SCOPE).opened(data)

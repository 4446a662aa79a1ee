"""Thai administrative areas (DOPA codes), from geothai; its data is CC-BY-4.0."""

from collections.abc import Iterable
from functools import cache, lru_cache

import geothai
import geothai.abolished
from geothai.types import Abolished

_VILLAGE_DIGITS = 8
_MATCHES_SHOWN = 20  # some names stand for sixty subdistricts; twenty fit a message


@lru_cache(maxsize=65_536)
def is_known(code: str) -> bool:
    """Whether ``code`` names a province (2 digits), district (4), subdistrict (6), or village (8) of a known one."""
    if not (code.isascii() and code.isdecimal()):
        return False
    if len(code) == _VILLAGE_DIGITS:
        code = code[:6]
    found = {2: geothai.province, 4: geothai.district, 6: geothai.subdistrict}.get(len(code))
    return found is not None and found(code) is not None


@lru_cache(maxsize=65_536)
def matching(subdistrict: str, district: str, province: str) -> tuple[str, ...]:
    """Codes of the subdistricts that fit the names; empty names are ignored."""
    found = geothai.match(subdistrict, district=district or None, province=province or None)
    return tuple(address.subdistrict.code for address in found)


def successors(code: str) -> tuple[str, ...] | None:
    """Codes of the areas that took an abolished one's place, perhaps none; None if it was never abolished."""
    found = _abolished().get(code[:6])
    return None if found is None else found.successors


def successors_of_name(subdistrict: str, district: str, province: str) -> tuple[str, ...]:
    """The same for an abolished subdistrict by its names; empty if no abolished one fits."""
    found = geothai.abolished.match_abolished(subdistrict, district=district or None, province=province or None)
    return tuple(code for area in found for code in area.successors)


def described(codes: Iterable[str]) -> str:
    """The areas for people: ``code ต.… อ.… จ.…``, as many as fit a message."""
    listed = list(codes)
    shown = "; ".join(map(_described, listed[:_MATCHES_SHOWN]))
    return shown + (f"; … ({len(listed)})" if len(listed) > _MATCHES_SHOWN else "")


def _described(code: str) -> str:
    if len(code) != 6:
        found = geothai.province(code) if len(code) == 2 else geothai.district(code)
        return f"{code} {found.name_th}" if found else code
    address = geothai.address(code)
    if address is None:
        return code
    names = (address.subdistrict.name_th, address.district.name_th, address.province.name_th)
    return "{} ต.{} อ.{} จ.{}".format(code, *names)


@cache
def _abolished() -> dict[str, Abolished]:
    return {area.code: area for area in geothai.abolished.abolished_areas()}

"""Thai administrative areas (DOPA codes), from geothai; its data is CC-BY-4.0."""

from functools import lru_cache

import geothai

_VILLAGE_DIGITS = 8


@lru_cache(maxsize=65_536)
def is_known(code: str) -> bool:
    """Whether ``code`` names a province (2 digits), district (4), subdistrict (6), or village (8) of a known one."""
    if len(code) == _VILLAGE_DIGITS:
        code = code[:6]
    found = {2: geothai.province, 4: geothai.district, 6: geothai.subdistrict}.get(len(code))
    return found is not None and found(code) is not None


@lru_cache(maxsize=65_536)
def matching(subdistrict: str, district: str, province: str) -> tuple[tuple[str, str], ...]:
    """Subdistricts that fit the names, as (code, names for people); empty names are ignored."""
    found = geothai.match(subdistrict, district=district or None, province=province or None)
    return tuple(
        (
            address.subdistrict.code,
            f"ต.{address.subdistrict.name_th} อ.{address.district.name_th} จ.{address.province.name_th}",
        )
        for address in found
    )

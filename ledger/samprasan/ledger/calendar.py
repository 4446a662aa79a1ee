"""Days and months of Asia/Bangkok, which has no daylight saving: UTC+7, always."""

from datetime import UTC, date, datetime, time, timedelta, timezone

BANGKOK = timezone(timedelta(hours=7), "Asia/Bangkok")
BUDDHIST_ERA = 543


def at(milliseconds: int) -> datetime:
    """The moment ``milliseconds`` after the Unix epoch, in Bangkok."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(BANGKOK)


def iso(milliseconds: int) -> str:
    """A moment for programs: ISO 8601 in Bangkok's time, to the second."""
    return at(milliseconds).isoformat(timespec="seconds")


def day_of(milliseconds: int) -> date:
    """The day in Bangkok at that moment."""
    return at(milliseconds).date()


def start_of(day: date) -> int:
    """When ``day`` begins in Bangkok, milliseconds since the Unix epoch."""
    return int(datetime.combine(day, time(), BANGKOK).timestamp() * 1000)


def month_of(day: date) -> int:
    """``day``'s month as YYYYMM."""
    return day.year * 100 + day.month


def fiscal_year_of(day: date) -> int:
    """The government's fiscal year that ``day`` is in, Gregorian: it begins on 1 October of the year before."""
    return day.year + (day.month >= 10)


def packed(day: date) -> int:
    """``day`` as YYYYMMDD."""
    return day.year * 10_000 + day.month * 100 + day.day


def unpacked(number: int) -> date:
    """The day that YYYYMMDD names.  Raises ValueError if it names none."""
    return date(number // 10_000, number // 100 % 100, number % 100)


def buddhist(day: date) -> str:
    """``day`` as Thais write it: dd/mm/yyyy of the Buddhist era."""
    return f"{day.day:02d}/{day.month:02d}/{day.year + BUDDHIST_ERA}"

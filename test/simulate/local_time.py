"""Local time once more, by Python's zoneinfo: what the checker holds the engine's own against.

Instants are microseconds since 2000-01-01 UTC, as everywhere; days are datetime.date.
"""

from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
DAY_ONE = date(2000, 1, 1)
MINUTE = 60 * 1000000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def aware(at):
    """An instant as Python has it."""
    return EPOCH + timedelta(microseconds=at)


def local(at, zone):
    """What clocks show."""
    return aware(at).astimezone(ZoneInfo(zone))


def local_day(at, zone):
    """The date that calendars show."""
    return local(at, zone).date()


@lru_cache(maxsize=200000)
def instant(day, minutes, zone):
    """The instant of a local time, in minutes after midnight; PEP 495 has the rule for those that
    do not exist (later by as much as clocks are put forward) or exist twice (the first)."""
    naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
    return (naive.replace(tzinfo=ZoneInfo(zone), fold=0) - EPOCH) // timedelta(microseconds=1)


def minutes_of(text):
    """08:30 in minutes."""
    return int(text[:2]) * 60 + int(text[3:])


def spans_of(day, janela, zone, holidays):
    """What opens on a day: pairs of instants; until the next midnight where a holiday follows."""
    if day in holidays:
        return []
    next_midnight = instant(day, 1440, zone)
    after_next = instant(day, 2880, zone)
    spans = []
    if janela is None:
        return [(instant(day, 0, zone), next_midnight)]
    for span in janela:
        if day.isoweekday() not in span.get("dias", range(1, 8)):
            continue
        begin, end = minutes_of(span["das"]), minutes_of(span["ate"])
        first = instant(day, begin, zone)
        last = min(instant(day, end + 1440 if end <= begin else end, zone), after_next)
        if day + timedelta(days=1) in holidays:
            last = min(last, next_midnight)
        if first < last:
            spans.append((first, last))
    return spans


def is_open(at, janela, zone, holidays):
    """Whether a message may leave, by its window."""
    today = local_day(at, zone)
    return today not in holidays and any(
        first <= at < last for day in (today - timedelta(days=1), today)
        for first, last in spans_of(day, janela, zone, holidays))


def is_working(day, holidays):
    """Monday to Friday, and no holiday."""
    return day.isoweekday() <= 5 and day not in holidays


def add_working_days(day, count, holidays):
    """So many working days later; with none the day, or the next that is one."""
    while count > 0 or not is_working(day, holidays):
        day += timedelta(days=1)
        count -= is_working(day, holidays)
    return day


def moved(at, day, zone):
    """The same time on another day."""
    clock = local(at, zone)
    if clock.date() == day:
        return at
    midnight = datetime(day.year, day.month, day.day)
    naive = midnight + timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second,
                                 microseconds=clock.microsecond)
    return (naive.replace(tzinfo=ZoneInfo(zone), fold=0) - EPOCH) // timedelta(microseconds=1)


def due(step, previous, start, not_before, zone, holidays):
    """When a step is due, as the contract has it."""
    base = start if step["inicio"] else previous
    earliest = max(base, not_before)
    offset = max(step["offset"], 0)
    if step["uteis"]:
        to = add_working_days(local_day(base, zone), offset // 1440, holidays)
        at = moved(base, to, zone) + offset % 1440 * MINUTE
    else:
        at = base + offset * MINUTE
    at = max(at, earliest)
    if step["uteis"]:
        at = moved(at, add_working_days(local_day(at, zone), 0, holidays), zone)
    if step["horario"] < 0:
        return at
    day = local_day(at, zone)
    while True:
        at = instant(day, step["horario"], zone)
        if at >= earliest and (not step["uteis"] or is_working(local_day(at, zone), holidays)):
            return at
        day += timedelta(days=1)

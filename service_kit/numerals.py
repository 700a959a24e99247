"""Chinese numerals and dates -> int and ISO dates. Pure functions."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

NUMERAL = "一二三四五六七八九十百千零〇○Ｏ○两"
_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "○": 0,
    "Ｏ": 0,
    "O": 0,
    "两": 2,
}
_UNITS = {"十": 10, "百": 100, "千": 1000}

_ZERO = "〇○Ｏ零OoО0０"
_YEAR = rf"(?:[12１２][\d０-９]{{3}}|[一二][{_ZERO}一二三四五六七八九]{{3}})"
_SMALL = r"(?:[\d０-９]{1,2}|[一二三四五六七八九十]{1,3})"
DATE = rf"{_YEAR}\s*年\s*{_SMALL}\s*月\s*{_SMALL}\s*日"
_DATE = re.compile(rf"({_YEAR})\s*年\s*({_SMALL})\s*月\s*({_SMALL})\s*日")
_PLAIN_DATE = re.compile(r"(?<!\d)([12]\d{3})\s*[-/.]\s*(\d{1,2})\s*[-/.]\s*(\d{1,2})(?!\d)")


@dataclass(frozen=True)
class Found:
    """One date in a text."""

    iso: str
    start: int
    end: int


def to_int(numeral: str) -> int | None:
    """一百二十三, 123, １２３, 二〇一八 -> int; None for anything else."""
    text = unicodedata.normalize("NFKC", numeral).strip()
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    if not text or any(char not in _DIGITS and char not in _UNITS for char in text):
        return None
    if not any(char in _UNITS for char in text):  # digits in a row, as in years
        return int("".join(str(_DIGITS[char]) for char in text))
    total, digit = 0, None
    for char in text:
        if char in _UNITS:
            total += (1 if digit is None else digit or 1) * _UNITS[char]
            digit = None
        else:
            digit = _DIGITS[char]
    return total + (digit or 0)


def dates(text: str) -> Iterator[Found]:
    """Every full date in `text` (2018年8月14日, 二〇一八年八月十四日, 2018-08-14), in its order."""
    hits = sorted([*_DATE.finditer(text), *_PLAIN_DATE.finditer(text)], key=lambda hit: hit.start())
    for hit in hits:
        year, month, day = (to_int(re.sub(r"[Ooо0О]", "0", part)) for part in map(_zeros, hit.groups()))
        if year is None or month is None or day is None:
            continue
        try:
            yield Found(date(year, month, day).isoformat(), hit.start(), hit.end())
        except ValueError:
            continue


def first_date(text: str) -> str | None:
    """ISO form of the first full date."""
    return next((found.iso for found in dates(text)), None)


def days_later(iso: str, days: int) -> str:
    """The date so many days after another."""
    return (date.fromisoformat(iso) + timedelta(days=days)).isoformat()


def _zeros(part: str) -> str:
    """The many looks of zero in 二〇一八 as one."""
    if re.search(r"[一二三四五六七八九]", part):
        return re.sub(f"[{_ZERO}]", "〇", part)
    return part

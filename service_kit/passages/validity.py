"""Whether a passage is law at a given day, from its free-text dates and status. Pure functions."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from service_kit.numerals import first_date
from service_kit.passages.passage import Passage

Status = Literal["in_force", "repealed", "not_yet", "unknown"]
"""`unknown`: the passage gives neither date nor status. Filters take it for being in force."""

_REPEALED = re.compile(r"废止|失效|作废|撤销|repealed|abolished|no longer|void", re.IGNORECASE)
_DENIED = re.compile(
    r"(?:未被?|没有|尚未|不|部分)(?:废止|失效|作废|撤销)|\b(?:not|partly|partially)\s+(?:repealed|abolished|void)"
    r"|^(?:否|无|no|none|-|—)$",
    re.IGNORECASE,
)
"""Nothing that ends the whole."""
_MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)\s*(?:年|[-/.])\s*(\d{1,2})(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")


@dataclass(frozen=True)
class Validity:
    """From `begins` (included) to `ends` (excluded); None: not known. `ended`: repealed, nobody says when."""

    begins: date | None = None
    ends: date | None = None
    ended: bool = False

    def status_at(self, day: date) -> Status:
        """A repeal without a date counts on every day."""
        if self.ended or (self.ends is not None and self.ends <= day):
            return "repealed"
        if self.begins is None:
            return "unknown" if self.ends is None else "in_force"
        return "in_force" if self.begins <= day else "not_yet"


_UNKNOWN = Validity()


def validity(passage: Passage) -> Validity:
    """In force from `effective`, or else `issued`, to `repealed`; `status` tells of a repeal without a date."""
    if not (passage.effective or passage.issued or passage.repealed or passage.status):
        return _UNKNOWN
    begins = read_day(passage.effective) or read_day(passage.issued)
    repealed = _meant(passage.repealed)
    ends = read_day(repealed)
    says_so = _REPEALED.search(_meant(passage.status) or "") is not None
    return Validity(begins, ends, ended=ends is None and (repealed is not None or says_so))


@lru_cache(8192)
def read_day(text: str | None) -> date | None:
    """The first date in `text`; a month or a year alone begins on its first day."""
    if not text:
        return None
    folded = unicodedata.normalize("NFKC", text)
    if iso := first_date(folded):
        return date.fromisoformat(iso)
    if (found := _MONTH.search(folded)) and 1 <= int(found[2]) <= 12:
        return date(int(found[1]), int(found[2]), 1)
    return date(int(found[1]), 1, 1) if (found := _YEAR.search(folded)) else None


def _meant(text: str | None) -> str | None:
    """None for 否, 未废止 and the like."""
    return text if text and text.strip() and not _DENIED.search(text.strip()) else None

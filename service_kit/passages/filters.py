"""Which passages a search may return at all. Pure functions."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from service_kit.passages.passage import Passage
from service_kit.passages.references import issuer_keys
from service_kit.passages.validity import Validity, validity


@dataclass(frozen=True)
class Filters:
    """None: any. `as_of` alone keeps what was in force on that day; `status` without it is meant as of today.

    What a passage does not say is not held against it: without dates it is in force. An issuer is one of the names in
    the passage's `issuer`, whole: 财政部 finds 财政部、国家税务总局.
    """

    as_of: date | None = None
    issuer: str | None = None
    status: Literal["in_force", "repealed"] | None = None

    def __bool__(self) -> bool:
        return self != NO_FILTERS

    @property
    def wanted_status(self) -> Literal["in_force", "repealed"] | None:
        return self.status or ("in_force" if self.as_of else None)

    @property
    def issuer_key(self) -> str | None:
        """As `issuer_keys` writes it."""
        return "".join(issuer_keys(self.issuer)) if self.issuer else None

    def day(self, today: date) -> date:
        """The day for which validity is asked."""
        return self.as_of or today

    def allow(self, passage: Passage, today: date) -> bool:
        """Whether a search with these filters may return the passage."""
        issued = self.issuer is None or self.issuer_key in issuer_keys(passage.issuer)
        return issued and self.allow_status(validity(passage), today)

    def allow_status(self, valid: Validity, today: date) -> bool:
        """A repeal without a date may have come after a day in the past, which then keeps the passage."""
        day = self.day(today)
        if self.wanted_status == "in_force":
            dated = Validity(valid.begins, valid.ends) if day < today else valid
            return dated.status_at(day) in ("in_force", "unknown")
        return self.wanted_status is None or valid.status_at(day) == "repealed"


NO_FILTERS = Filters()

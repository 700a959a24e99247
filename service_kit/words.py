"""Text for people, in the two languages that Yiju speaks."""

import re
from typing import Literal, NamedTuple

Lang = Literal["zh", "en"]

_CJK = re.compile(r"[㐀-鿿豈-﫿]")
_LATIN = re.compile(r"[A-Za-z]")


class Words(NamedTuple):
    """One message in Chinese and English; `YIJU_LANG` decides which one is shown."""

    zh: str
    en: str

    def to(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en

    def __str__(self) -> str:
        return self.en


def language_of(text: str) -> Lang:
    """`en` when the text holds Latin letters and no Chinese character, else `zh`."""
    return "en" if _LATIN.search(text) and not _CJK.search(text) else "zh"

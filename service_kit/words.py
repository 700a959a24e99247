"""Text for people, in the two languages that Yiju speaks."""

from typing import Literal, NamedTuple

Lang = Literal["zh", "en"]


class Words(NamedTuple):
    """One message in Chinese and English; `YIJU_LANG` decides which one is shown."""

    zh: str
    en: str

    def to(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en

    def __str__(self) -> str:
        return self.en

"""Traditional characters -> simplified ones, for recognising only: what is written into passages stays as it was."""

import re

_TRADITIONAL = (
    "條編節項號關於發辦規則細準實務國會廳區縣銀總處經體標補協構員議問題書報學績預債專產業機費團審計監檢責證過頒佈廢認維據權"
    "執單臺廣東黨綱劃範說見復導應對還將爲與無現"
)
_SIMPLIFIED = (
    "条编节项号关于发办规则细准实务国会厅区县银总处经体标补协构员议问题书报学绩预债专产业机费团审计监检责证过颁布废认维据权"
    "执单台广东党纲划范说见复导应对还将为与无现"
)
_TABLE = str.maketrans(_TRADITIONAL, _SIMPLIFIED)
_ANY = re.compile(f"[{_TRADITIONAL}]")


def plain(text: str) -> str:
    """`text` with the traditional characters of headings and formulas as simplified ones; as long as it was."""
    return text.translate(_TABLE) if _ANY.search(text) else text

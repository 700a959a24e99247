"""One form for what drafters say in several: 严禁 is 不得, 应在 is 应当在, 除甲外 may stand behind. Pure functions.

Only what binds alike: 必须 for 应当 is another word of the law, and stays a change.
"""

import re
from collections.abc import Callable

Form = Callable[[str], str]

_SAME = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        (r"人大常委会", "人民代表大会常务委员会"),
        (r"人大(?!代表大会|常务)|人代会", "人民代表大会"),
        (r"[之以](?=[内前后](?![容涵部幕期景果续]))", ""),  # 二十日以内
        (r"(?<=,)并(?![且非不未])", ""),
        (r"(?<![对适反响供相感效报答呼])应(?=[在与于由将把按自向以从])", "应当"),
        (r"(?:最长|最多|至多)(?:为|是)?(?=[\d一二三四五六七八九十百千])", "不得超过"),
        (r"(?:不得|不能|不可|不应|严禁|禁止|不)(?=超过|突破|少于|多于|低于|高于)", "不得"),
        (r"被?(?:严禁|禁止(?![令性进]))|不准|不许|不可以|不能够|不允许", "不得"),
    )
)
_EXCEPTION = re.compile(r"(?:^|(?<=[,;。]))除了?([^,;。]{2,60}?)[之以]?外,([^;。]+)")
_BUT = re.compile(r"(?<=,)但(?:是)?(?=[^,;。]{2,60}除外)|的(?=除外)")
_FORBIDS = "不得"
_CLAUSE = re.compile(r"[^,;:。!?\n]+")
_MODAL = re.compile(r"不|没|未|无|可以|允许|应当|必须|除")
_ITEM = re.compile(r"\s*(?:\([^)]{1,3}\)|第[^条]{1,9}条|[一二三四五六七八九十\d]+[、.])?\s*")


def forms_for(folded: str) -> tuple[Form, ...]:
    """The forms in which a sentence and its passage may be compared when they differ as they were written.

    Exceptions are moved only where the sentence has one: in a passage without its exception nobody would miss it.
    """
    return (exceptions_behind, _both) if "除" in folded else (one_wording, forbidding_first)


def one_wording(folded: str) -> str:
    """A folded text with the words that bind alike in one form.

    >>> one_wording("严禁各单位挪用;各单位应在20日以内报告。")
    '不得各单位挪用;各单位应当在20日内报告。'
    """
    for pattern, form in _SAME:
        folded = pattern.sub(form, folded)
    return folded


def exceptions_behind(folded: str) -> str:
    """The same with each exception behind its rule.

    >>> exceptions_behind("除另有规定外,各单位应在20日内报告。"), exceptions_behind("不得报告,但甲方除外")
    ('各单位应当在20日内报告,另有规定除外。', '不得报告,甲方除外')
    """
    return _EXCEPTION.sub(r"\2,\1除外", _BUT.sub("", one_wording(folded)))


def forbidding_first(folded: str) -> str:
    """A text in one wording, with 不得 at the beginning of each clause that says it once: who is forbidden may stand
    before it or behind.

    >>> forbidding_first("各单位不得挪用"), forbidding_first("未经批准不得挪用")
    ('不得各单位挪用', '未经批准不得挪用')
    """
    return _CLAUSE.sub(lambda clause: _leading(clause.group()), one_wording(folded))


def _both(folded: str) -> str:
    return forbidding_first(exceptions_behind(folded))


def _leading(clause: str) -> str:
    before, forbids, behind = clause.partition(_FORBIDS)
    if not forbids or _FORBIDS in behind or _MODAL.search(before):
        return clause
    number = _ITEM.match(before)
    head = number.end() if number else 0
    return before[:head] + forbids + before[head:] + behind

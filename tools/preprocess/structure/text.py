"""Small rules of Chinese typesetting: joining lines, letter-spaced words, what ends a sentence."""

import re

HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WIDE_BELOW = "“”‘’—…·"
"""Full-width punctuation that stands among the Latin one in Unicode."""
_SPACED_OUT = re.compile(rf"(?<![{HAN}])[{HAN}](?:[ \t\u3000\u2002\u2003]+[{HAN}])+(?![{HAN}])")
_BLANKS = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060\ufeff\ufffe\uffff\x00-\x08\x0b-\x1f\x7f\u00ad]")
SENTENCE = re.compile(r"[^。！？!?]*(?:[。！？!?]+[”’」』）)》\]〕]*|$)")
"""One sentence with its closing quotes; found one after the other they are the whole text."""
_ENDS = ("。", "！", "？", "；", "：", "!", "?", ";", ":", ".", "”", "…")


def tidy(text: str) -> str:
    """One line: blanks folded, letter-spaced words (总　则) closed, invisible characters gone."""
    folded = _BLANKS.sub(_one_blank, _INVISIBLE.sub("", text.replace("\n", " "))).strip()
    return _SPACED_OUT.sub(lambda found: _BLANKS.sub("", found.group()), folded)


def _one_blank(found: re.Match[str]) -> str:
    return "\u3000" if "\u3000" in found.group() else " "


def join_lines(first: str, second: str) -> str:
    """Two lines of one paragraph: a blank between Latin words only, a hyphen at the break removed."""
    if not first or not second:
        return first or second
    before, after = first[-1], second[0]
    if is_wide(before) or is_wide(after):
        return first + second
    if before == "-" and len(first) > 1 and first[-2].isalpha() and after.isalpha():
        return first[:-1] + second
    if before.isdigit() and after.isdigit():  # a number that the line's end cut
        return first + second
    return f"{first} {second}"


def is_wide(char: str) -> bool:
    """Whether it is a Chinese character or full-width punctuation, which never has a blank beside it."""
    return char >= "\u3000" or char in _WIDE_BELOW


def ends_sentence(text: str) -> bool:
    """Whether a paragraph may end after `text`."""
    return text.rstrip("”’」』）)》】\u3000 ").endswith(_ENDS) or text.endswith(_ENDS)


def squeeze(text: str) -> str:
    """Without any blank: what is compared when two lines may be the same."""
    return re.sub(r"\s+", "", text)

"""Stage 5: each sentence of an answer is compared with the passages that it cites. Nothing that was written is changed.

A sentence is *verified* when the passages exist and support it: every number, date, 文号, article and quotation stands
there (in any spelling), negation and modality agree, names are the same, its clauses come from one sentence of the
passage, and of its words (weighted by idf) enough stand there. A sentence that claims nothing is verified as well.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from rag_server.checks.align import parts_of
from rag_server.checks.coverage import coverage, unsupported_clause
from rag_server.checks.judge import judge, missing_reason, number_reason, stands_in
from rag_server.checks.lead_in import only_leads, opening
from rag_server.checks.marks import cited_pieces, split_sentences, without_marks
from rag_server.checks.modality import forms_for
from rag_server.checks.passage import Passage, in_form, read_passage
from rag_server.checks.tokens import Tokens, fold, tokenise
from rag_server.checks.words import content, numbers_in
from rag_server.turn import CheckedSentence, Evidence
from service_kit.words import Lang, Words

__all__ = ["marked", "split_sentences", "verify", "verify_sentence"]

LEAST_COVERAGE = 0.7
"""Share of the sentence's words, weighted by idf, that the passage must have."""
CLEAR_COVERAGE = 0.85
"""… for a mark to be added to a sentence that has none."""

_QUOTED = re.compile(r"“([^“”]+)”|「([^「」]+)」|『([^『』]+)』|《([^《》]+)》|\"([^\"]+)\"")
_NO_BASIS = re.compile(
    r"^(?:(?:很?抱歉|对不起|根据|从|在|就|因此|所以|但|但是|不过|然而|目前|综上|,)\s*)*"
    r"(?:(?:以上|上述|所给|给出的?|[所您]?提供的?|已有|现有|已收录的?|检索到?的?|参考)+"
    r"(?:材料|资料|文件|文章|证据|依据|文本|文献|信息|内容)(?:中|里|内)?|(?:材料|资料|参考|文档|原文|文)(?:\[\d+\])*[中里内])"
    r"(?:都|也|均|并|来看|看|,)*(?:没有|未能?|无法?|不包含|不含|不足以|缺乏|不能)(?:直接|明确|具体|充分|足够|任何)*"
    r"(?:找到|查到|检索到|提供|提到|提及|说明|涉及|给出|记载|规定|包含|相关|有关|关于|依据|信息|答案|回答|确定|判断|得知|对应|可以|能够|可供)"
    r"|^(?:很?抱歉|对不起)?,?(?:我|目前|暂时?)*(?:无法|不能)(?:回答|确定|判断)(?:该|此|这|您|上述)"
    r"|^(?:没有|未)(?:找到|检索到|查到)(?:相关|有关|任何|可以|能够|足够)|^以下为材料原文摘录"
    r"|^(?:i'm sorry|sorry|unfortunately|however|but|,|\s)*"
    r"the (?:references?|documents?|passages?|text|materials?|evidence)"
    r" (?:do|does|did) not (?:mention|say|state|specify|provide|contain|answer|include)|^these are quotations"
)
"""Says that the material says nothing, or that it is quoted."""
_SOCIAL = re.compile(
    r"(?:您好|你好|谢谢|感谢您|不客气|希望(?:以上|这|对您|能)|如有(?:其他|疑问|任何)|以上(?:就)?是|"
    r"hello|thank|hope this helps)"
)
_APART = ("；", ";")
_LONGEST_EMPTY = 80
"""Characters of a sentence that may claim nothing."""


def verify(
    text: str, evidence: Sequence[Evidence], idf: Mapping[str, float], lang: Lang
) -> tuple[CheckedSentence, ...]:
    """Every sentence of an answer; the texts joined are the answer."""
    found = tuple(evidence)
    return tuple(verify_sentence(sentence, found, idf, lang) for sentence in split_sentences(text))


def verify_sentence(
    sentence: str, evidence: tuple[Evidence, ...], idf: Mapping[str, float], lang: Lang
) -> CheckedSentence:
    """One sentence, as `split_sentences` cuts it. Words that `idf` lacks count as much as its middle one."""
    passages = {e.n: e for e in evidence}  # read where it is needed: mostly one of them is cited
    pieces = cited_pieces(sentence)
    cites = tuple(dict.fromkeys(n for piece in pieces for n in piece.cites))
    for n in cites:
        if n not in passages:
            reason = Words(f"未核实：没有第[{n}]条材料", f"not verified: there is no passage [{n}]")
            return CheckedSentence(sentence, cites, verified=False, added=False, reason=reason.to(lang))
    bare = fold(without_marks(sentence))
    if _claims_nothing(bare, cites):
        return CheckedSentence(sentence, cites, verified=True, added=False, reason=None)
    if not cites:
        return _uncited(sentence, map(read_passage, evidence), idf, lang)
    for piece in _merged(pieces):
        cited = [read_passage(passages[n]) for n in piece[1]]
        found = _check(piece[0], cited, idf, LEAST_COVERAGE)
        if found:
            others = (read_passage(e) for n, e in passages.items() if n not in cites)
            better = next((p.n for p in others if not _check(piece[0], [p], idf, CLEAR_COVERAGE)), None)
            if better:
                found = Words(f"{found.zh}；[{better}]支持这句话", f"{found.en}; [{better}] supports it")
            return CheckedSentence(sentence, cites, verified=False, added=False, reason=found.to(lang))
    return CheckedSentence(sentence, cites, verified=True, added=False, reason=None)


def marked(checked: CheckedSentence) -> str:
    """The sentence as it is to be shown: with the mark that was added, before the white space at its end.

    >>> marked(CheckedSentence("可以。\\n", (2,), verified=True, added=True, reason=None))
    '可以。[2]\\n'
    """
    if not checked.added:
        return checked.text
    text = checked.text.rstrip()
    return text + "".join(f"[{n}]" for n in checked.cites) + checked.text[len(text) :]


def _uncited(sentence: str, passages: Iterable[Passage], idf: Mapping[str, float], lang: Lang) -> CheckedSentence:
    """The first passage that clearly supports the sentence becomes its mark."""
    for passage in passages:
        if _check(sentence, [passage], idf, CLEAR_COVERAGE) is None:
            return CheckedSentence(sentence, (passage.n,), verified=True, added=True, reason=None)
    reason = Words(
        "未核实：没有标注依据，也没有材料明确支持", "not verified: no mark, and no passage clearly supports it"
    )
    return CheckedSentence(sentence, (), verified=False, added=False, reason=reason.to(lang))


def _merged(pieces: Sequence[tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    """Neighbours that cite the same passages as one, unless a semicolon makes each a statement with its own mark.

    What only leads in (根据第[1]条材料, 甲得乙[2]) goes to the piece behind it, which then rests on the marks of both.
    """
    merged: list[tuple[str, tuple[int, ...]]] = []
    for text, cites in pieces:
        before = merged[-1] if merged else ("", ())
        if merged and only_leads(before[0]):
            merged[-1] = (before[0] + text, tuple(dict.fromkeys((*before[1], *cites))))
        elif merged and before[1] == cites and not (before[0].rstrip().endswith(_APART) or text.startswith(_APART)):
            merged[-1] = (before[0] + text, cites)
        else:
            merged.append((text, cites))
    return merged


def _claims_nothing(folded: str, cites: Sequence[int]) -> bool:
    said = folded.strip()
    if not any(map(str.isalnum, said)):
        return True
    if len(said) > _LONGEST_EMPTY:
        return False
    if _NO_BASIS.search(said):
        return True
    if cites or any(map(str.isdigit, said)):
        return False
    return said.endswith(("?", ":")) or (len(said) < _LONGEST_EMPTY / 2 and bool(_SOCIAL.match(said)))


def _check(text: str, cited: Sequence[Passage], idf: Mapping[str, float], least: float) -> Words | None:
    """Why the passages together do not support the text; None when they do.

    What is no quotation is read again with the words that bind alike in one form.
    """
    rules = (least, "".join(f"[{p.n}]" for p in cited))
    if quotation := _check_quotations(text, cited, rules[1]):
        return quotation
    found = _check_said(text, cited, idf, rules)
    if found:
        folded = fold(text)
        for form in forms_for(folded):
            formed, passages = form(folded), [in_form(p, form) for p in cited]
            changed = formed != folded or any(new is not p for new, p in zip(passages, cited, strict=True))
            if changed and _check_said(formed, passages, idf, rules) is None:
                return None
    return found


def _check_said(
    text: str, cited: Sequence[Passage], idf: Mapping[str, float], rules: tuple[float, str]
) -> Words | None:
    answer, marks = tokenise(text), rules[1]
    if not answer.keys:
        return None
    title = cited[0].title
    skipped = opening(answer.folded, title, " ".join(p.tokens.folded for p in cited))
    first = bisect_left(answer.starts, skipped)
    return (
        _check_doc_nos(answer, cited, marks)
        or _check_opening(answer, first, cited, marks)
        or _check_claims(answer, first, cited, idf, rules)
    )


def _check_quotations(text: str, cited: Sequence[Passage], marks: str) -> Words | None:
    for match in _QUOTED.finditer(text):
        quoted = next(group for group in match.groups() if group)
        for piece in re.split(r"…+|\.{3,}", quoted):
            row = tokenise(piece).joined.strip()
            if row and not any(f" {row} " in p.tokens.joined or f" {row} " in p.facts.joined for p in cited):
                return Words(
                    f"未核实：引文“{quoted}”不在{marks}中", f"not verified: the quotation “{quoted}” is not in {marks}"
                )
    return None


def _is_verbatim(answer: Tokens, first: int, passage: Passage) -> bool:
    """Whether the answer from token `first` on stands in the passage with the same marks, clauses being whole."""
    theirs, row = passage.tokens, f" {' '.join(answer.keys[first:])} "
    found = theirs.joined.find(row)
    if found < 0:
        return False
    begins = theirs.joined.count(" ", 0, found)
    ends = begins + len(answer.keys) - first
    same = theirs.breaks[begins + 1 : ends] == answer.breaks[first + 1 : -1]
    return same and theirs.breaks[begins] > 0 and theirs.breaks[ends] > 0


def _check_opening(answer: Tokens, first: int, cited: Sequence[Passage], marks: str) -> Words | None:
    """What an opening names must be there; an article that it names must be the passage's own, where that is known."""
    own = frozenset[str]().union(*(p.articles for p in cited))
    for i in numbers_in(answer, 0, first):
        if answer.keys[i] == "#1":  # 值得一提的是
            continue
        is_article = answer.keys[i].startswith("#第") and answer.keys[i + 1 : i + 2] == ("条",)
        known = answer.keys[i] in own if own and is_article else any(answer.keys[i] in p.keys for p in cited)
        quoted = i >= 2 and any(stands_in(answer, i - 2, i + 2, p) for p in cited)
        if not known and not quoted:
            return number_reason(answer.text(i, min(i + 1 + is_article, len(answer.keys))), marks)
    return None


def _check_doc_nos(answer: Tokens, cited: Sequence[Passage], marks: str) -> Words | None:
    """A 文号 with what stands before its year: 财预〔2016〕155号 is not 财库〔2016〕155号."""
    for i, key in enumerate(answer.keys):
        if not key.startswith("#〔"):
            continue
        first = i
        while first > max(0, i - 2) and _adjoins(answer, first):
            first -= 1
        if not any(stands_in(answer, first, i + 1, p) for p in cited):
            return number_reason(answer.text(first, i + 1), marks)
    return None


def _adjoins(answer: Tokens, i: int) -> bool:
    """Whether a word stands directly before token i."""
    return answer.word_of[i - 1] >= 0 and answer.ends[i - 1] == answer.starts[i]


def _check_claims(
    answer: Tokens, first: int, cited: Sequence[Passage], idf: Mapping[str, float], rules: tuple[float, str]
) -> Words | None:
    least, marks = rules
    last = len(answer.keys)
    if first == last or any(_is_verbatim(answer, first, p) for p in cited):
        return None
    parts = parts_of(answer, first, last, cited)
    uncovered, share = coverage(answer, [w for w in content(answer.words) if w.first >= first], parts, idf)
    if share < least:
        return missing_reason(uncovered, marks)
    invented = unsupported_clause(answer, first, parts, idf)
    return missing_reason(invented, marks) if invented else judge(answer, parts, marks)

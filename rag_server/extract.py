"""The answerer without a model: quotes the sentences that answer, and says that it only quotes."""

import re

from rag_server.quoting.quote import find_quotes
from rag_server.turn import Answer, Evidence, Retrieved, Understood
from service_kit.words import Lang

_NOTICE: dict[Lang, str] = {
    "zh": "以下为材料原文摘录，未经模型生成。",
    "en": "These are quotations from the documents; no model wrote them.",
}
_BASIS: dict[Lang, str] = {"zh": "依据：", "en": "Sources:"}
_REPEALED: dict[Lang, str] = {"zh": "已废止：{}", "en": "repealed: {}"}
_OURS = re.compile(rf"^(?:{'|'.join(map(re.escape, (*_NOTICE.values(), *_BASIS.values())))})\n?|\[\d+\]", re.MULTILINE)
_NOTHING: dict[Lang, str] = {
    "zh": "已收录的材料中没有找到可以回答这个问题的依据。",
    "en": "The indexed documents hold no basis for an answer to this question.",
}


def extract(understood: Understood, retrieved: Retrieved) -> Answer:
    """The answering sentences, quoted exactly, each with the number of its passage; a refusal when there are none."""
    quotes = find_quotes(understood.new_query, retrieved.evidence, retrieved.idf)
    if not quotes:
        return refuse(understood)
    lang = understood.lang
    marks = "“”" if lang == "zh" else '""'
    lines = [_NOTICE[lang], *(f"{marks[0]}{quote.text}{marks[1]}[{quote.n}]" for quote in quotes)]
    cited = [e for e in retrieved.evidence if any(quote.n == e.n for quote in quotes)]
    lines += [_BASIS[lang], *(describe(e, lang) for e in cited)]
    return Answer("\n".join(lines), "extract", quotes)


def without_our_words(answer: str) -> str:
    """What an answer says of the material: without the words that stand in every answer, and without marks.

    >>> without_our_words("以下为材料原文摘录，未经模型生成。\\n“应当公开。”[1]\\n依据：\\n[1]《预算法》")
    '“应当公开。”\\n《预算法》'
    """
    return _OURS.sub("", answer).strip()


def refuse(understood: Understood) -> Answer:
    """The answer when the material holds no basis for one: no passage is shown as a source for it."""
    return Answer(_NOTHING[understood.lang], "refuse")


def describe(evidence: Evidence, lang: Lang) -> str:
    """One line that names a passage: number, title, 文号, place in the document, file.

    >>> describe(Evidence(1, "办法", "…", "a.txt", "财预〔2016〕155号", None, "第五条", None, 0.5), "zh")
    '[1]《办法》（财预〔2016〕155号，第五条，a.txt）'
    """
    repealed = evidence.repealed and _REPEALED[lang].format(evidence.repealed)
    known = [part for part in (evidence.doc_no, evidence.path, evidence.source, repealed) if part]
    if lang == "zh":
        return f"[{evidence.n}]《{evidence.title}》" + (f"（{'，'.join(known)}）" if known else "")
    return f"[{evidence.n}] {evidence.title}" + (f" ({', '.join(known)})" if known else "")

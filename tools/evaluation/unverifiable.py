"""Unverifiable sentences marked: true and corrupted sentences made from passages, through the verify stage.

`caught`: share of the corrupted sentences that are marked 未核实. `wrong`: share of the true ones that are.
"""

import lzma
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rjieba

from rag_server.turn import Evidence
from rag_server.verify import verify
from tools.evaluation import forgery
from tools.evaluation.forgery import Source
from tools.evaluation.table import Table

LEAST_CAUGHT = 0.97
MOST_WRONG = 0.03
SEEDS = (1, 2, 3)
PER_KIND = 60
"""Sentences of each kind, set and seed."""
SAMPLES = Path(__file__).resolve().parents[2] / "preprocess_data"
ROLES = (
    "国务院", "财政部", "人民法院", "人民检察院", "公安机关", "税务机关", "省级人民政府", "县级以上地方人民政府", "仲裁委员会", "工商行政管理部门", "用人单位",
    "劳动者", "纳税人", "债权人", "债务人", "承包人", "发包人", "出租人", "承租人", "卫生行政部门", "当事人", "申请人", "证券交易所", "监护人", "海关", "中国人民银行",
    "审计机关", "教育行政部门", "委托人", "受托人", "保险人", "被保险人", "董事会", "股东会", "监事会",
)  # fmt: skip

Maker = Callable[[Source, str, random.Random], str | None]
TRUE: dict[str, Maker] = {
    "verbatim": forgery.verbatim,
    "numerals rewritten": forgery.numerals_rewritten,
    "clause dropped": forgery.clause_dropped,
    "lead-in": forgery.led_in,
    "文号 in its spellings": forgery.doc_no_spelt,
    "lead-in with 第…条": forgery.article_spelt,
}
CORRUPTED: dict[str, Maker] = {
    "number": forgery.number_changed,
    "date": forgery.date_changed,
    "文号": forgery.doc_no_changed,
    "第…条": forgery.article_changed,
    "negation": forgery.negated,
    "unit": forgery.unit_changed,
    "splice": forgery.spliced,
}


def run(bench: Path | None) -> Table:
    """A row for each kind, over all SEEDS, on the half of the documents that the checks were not developed on."""
    counts: Counter[tuple[str, str]] = Counter()
    for kind, truth, _, _, verified in outcomes(bench, SEEDS, half=1):
        counts[(kind, truth)] += 1
        counts[(kind, truth + " marked")] += not verified
    rows: list[dict[str, Any]] = []
    for truth, name in (("true", "wrong"), ("corrupted", "caught")):
        kinds = [kind for kind, t in counts if t == truth]
        for kind in [*kinds, "all"]:
            n = sum(counts[(k, truth)] for k in kinds if kind in (k, "all"))
            marked = sum(counts[(k, truth + " marked")] for k in kinds if kind in (k, "all"))
            rows.append({"sentences": truth, "kind": kind, "n": n, "marked": marked / n if n else None, "as": name})
    wrong, caught = (next(r["marked"] for r in rows if r["sentences"] == t and r["kind"] == "all") for t in ("true", "corrupted"))
    missed = [f"marked wrongly {wrong:.3f} > {MOST_WRONG}"] * (wrong > MOST_WRONG)
    missed += [f"caught {caught:.3f} < {LEAST_CAUGHT}"] * (caught < LEAST_CAUGHT)
    where = "CMRC2018 and law" if bench else "preprocess_data"
    return Table(f"Unverifiable sentences marked ({where})", rows, missed)


def outcomes(bench: Path | None, seeds: Sequence[int], half: int) -> list[tuple[str, str, str, tuple[Evidence, ...], bool]]:
    """(kind, true or corrupted, the answer, its evidence, whether it was verified)."""
    found = []
    for sources in read_sources(bench, half):
        for seed in seeds:
            dice = random.Random(f"{seed} {sources[0].id}")
            for kind, truth, answer, evidence in make(sources, dice):
                checked = verify(answer, evidence, {}, "zh")
                found.append((kind, truth, answer, evidence, all(c.verified for c in checked)))
    return found


def make(sources: Sequence[Source], dice: random.Random) -> list[tuple[str, str, str, tuple[Evidence, ...]]]:
    """PER_KIND answers of each kind. The passage is among up to four; of a law, the articles beside it."""
    pools = _pools(sources)

    def entity(source: Source, sentence: str, dice: random.Random) -> str | None:
        return forgery.entity_swapped(source, sentence, dice, (), pools)

    made = []
    kinds = [("true", TRUE), ("corrupted", {**CORRUPTED, "entity": entity, "wrong mark": forgery.verbatim})]
    for truth, makers in kinds:
        for kind, maker in makers.items():
            done = tries = 0
            while done < PER_KIND and tries < PER_KIND * 60:
                tries += 1
                at = dice.randrange(len(sources))
                source = sources[at]
                if not source.sentences:
                    continue
                sentence = dice.choice(source.sentences)
                text = maker(source, sentence, dice)
                if text is None:
                    continue
                if dice.random() < 0.2 and kind not in ("verbatim", "文号", "第…条", "lead-in", "文号 in its spellings", "lead-in with 第…条"):
                    text = forgery.led_in(source, text, dice) or text
                evidence, n, others = _evidence(sources, at, dice)
                if kind == "wrong mark":
                    n = dice.choice(others)
                cited = evidence[n - 1]
                if truth == "corrupted" and ((_plain(text) in _plain(cited.text) or (kind == "wrong mark" and _plain(sentence)[:-1] in _plain(cited.text)))):
                    continue
                text = text.replace("{n}", str(n))
                mark = f"[{n}]"
                answer = text + mark if dice.random() < 0.5 else text[:-1] + mark + text[-1]
                made.append((kind, truth, answer, evidence))
                done += 1
    return made


def _evidence(sources: Sequence[Source], at: int, dice: random.Random) -> tuple[tuple[Evidence, ...], int, list[int]]:
    near = [i for i in (at - 1, at + 1, at + 2) if 0 <= i < len(sources)]
    far = [dice.randrange(len(sources)) for _ in range(2)]
    others = list(dict.fromkeys(i for i in (near if dice.random() < 0.5 else far) if i != at)) or [(at + 1) % len(sources)]
    chosen = [at, *others]
    dice.shuffle(chosen)
    evidence = tuple(
        Evidence(n, sources[i].title, sources[i].text, None, sources[i].doc_no, None, None, None, 0.5)
        for n, i in enumerate(chosen, 1)
    )
    own = chosen.index(at) + 1
    return evidence, own, [n for n in range(1, len(chosen) + 1) if n != own]


def _plain(text: str) -> str:
    return re.sub(r"[^\w]", "", text)


def _pools(sources: Sequence[Source]) -> dict[str, list[str]]:
    pools: dict[str, list[str]] = {tag: [] for tag in ("nr", "ns", "nt", "nz", "nrt")}
    for source in sources[:400]:
        for word, tag in rjieba.tag(source.text):
            if tag in pools and len(word) > 1 and word.isalpha():
                pools[tag].append(word)
    answers = [a for s in sources for a in s.answers if 2 <= len(a) <= 12 and not re.search(r"[\d，。]", a)]
    unique = {tag: sorted(set(words)) for tag, words in pools.items()}
    return {**unique, "role": list(ROLES), "answer": answers or list(ROLES)}


def read_sources(bench: Path | None, half: int) -> list[list[Source]]:
    """The sets, each the `half` (0: developed on, 1: measured) of its documents in a mixed but fixed order."""
    if bench is None:
        return [[s for s in _samples() if _half(s.title) == half] if False else _samples()]
    answers: dict[str, list[str]] = {}
    for query in _lines(bench / "cmrc.queries.jsonl"):
        for gold in query["gold"]:
            answers.setdefault(gold, []).extend(query["answers"][:1])
    sets = []
    for name in ("cmrc.passages.jsonl", "law.passages.jsonl.xz"):
        sources = [
            Source(p["id"], p["title"], p["text"], _doc_no(p["title"]), tuple(answers.get(p["id"], ())))
            for p in _lines(bench / name)
            if _half(p["title"]) == half
        ]
        sets.append(sources[:8000])
    return sets


def _half(title: str) -> int:
    return zlib.crc32(title.encode()) % 2


def _doc_no(title: str) -> str:
    """A 文号 for a passage that has none, always the same."""
    dice = random.Random(title)
    return f"{dice.choice(forgery.ISSUERS)}〔{dice.randint(1995, 2023)}〕{dice.randint(1, 300)}号"


def _samples() -> list[Source]:
    sources = []
    for path in sorted(SAMPLES.glob("*.txt")):
        head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
        title, *facts = head.split("\n")
        doc_no = next((fact.removeprefix("doc_no: ") for fact in facts if fact.startswith("doc_no: ")), None)
        sources.append(Source(path.name, title, body.strip(), doc_no))
    return sources


def _lines(path: Path) -> list[dict[str, Any]]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]

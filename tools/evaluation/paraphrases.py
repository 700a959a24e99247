"""Paraphrases: sentences that say a sample passage in other words, and false ones near them, through the verify stage.

`tests/data/paraphrases.jsonl`, written by hand: true ones with another modal word of the same force (不得, 禁止),
order, voice or synonyms, false ones with another actor, direction, condition or modality. Each cites its passage,
beside which stands the next one. `marked` is the share that comes back 未核实. Rules were made by the development
half; the held-out half, other passages, only says what became of that. There is no bar.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from es_index.scan import list_files, read_passage
from rag_server.turn import Evidence
from rag_server.verify import verify
from tools.evaluation.table import Figure, Table
from tools.retrieval_set import read_lines

ROOT = Path(__file__).resolve().parents[2]
SENTENCES = ROOT / "tests" / "data" / "paraphrases.jsonl"
HALVES = ("development", "held-out")


def run(_bench: Path | None) -> Table:
    """A row for each half and kind of change."""
    passages = sample_passages()
    counts, marked = Counter[tuple[str, bool, str]](), Counter[tuple[str, bool, str]]()
    for line in read_lines(SENTENCES):
        found = is_marked(line["text"], line["file"], passages)
        for kind in (line["kind"], "all"):
            counts[line["half"], line["true"], kind] += 1
            marked[line["half"], line["true"], kind] += found
    order = sorted(counts, key=lambda key: (HALVES.index(key[0]), not key[1], key[2] == "all", key[2]))
    rows: list[dict[str, Figure]] = [
        {
            "half": half,
            "sentences": "true" if true else "false",
            "kind": kind,
            "n": counts[half, true, kind],
            "marked": marked[half, true, kind] / counts[half, true, kind],
        }
        for half, true, kind in order
    ]
    return Table("Paraphrases of sample passages marked (no bar)", rows)


def sample_passages() -> dict[str, Evidence]:
    """Each sample passage by its file's name, as evidence 1."""
    samples = ROOT / "preprocess_data"
    read = {file: read_passage(samples, file) for file in list_files(samples).files}
    return {
        str(file): Evidence(1, p.title, p.text, p.source, p.doc_no, p.effective, p.path, None, 0.5)
        for file, p in read.items()
    }


def is_marked(text: str, file: str, passages: Mapping[str, Evidence]) -> bool:
    """Whether a sentence that cites the passage of `file`, beside the next one, is not verified."""
    names = list(passages)
    own, beside = passages[file], passages[names[(names.index(file) + 1) % len(names)]]
    evidence = (own, replace(beside, n=2))
    return not all(sentence.verified for sentence in verify(f"{text}[1]", evidence, {}, "zh"))

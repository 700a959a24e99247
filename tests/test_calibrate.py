"""`python -m tools.calibrate` on the samples, and the fits behind the shipped weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from rag_server.calibration import read_calibration
from service_kit.errors import InvalidRequest
from tools.calibrate import main
from tools.evaluation import extraction
from tools.evaluation.fitting import fit_choice, fit_logistic
from tools.evaluation.measures import share_below, threshold_at

ROOT = Path(__file__).resolve().parent.parent
SET = [str(ROOT / "preprocess_data"), str(ROOT / "tests" / "data" / "sample_questions.jsonl")]


def test_it_prints_a_table_and_writes_threshold_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / name for name in ("figures.json", "curve.png", "threshold.json")}
    options = [f"--{kind}={path}" for kind, path in zip(("json", "png", "write"), files.values(), strict=True)]
    assert main([*SET, "--unanswerable", str(ROOT / "tests/data/unanswerable.jsonl"), *options]) == 0
    printed = capsys.readouterr().out
    written = read_calibration(files["threshold.json"])
    assert f"refuse below {written.threshold}" in printed
    assert "sample_questions.jsonl" in written.set
    assert written.questions == 93
    assert written.false_refusal <= 0.05 < written.refusal
    rows = json.loads(files["figures.json"].read_text())["rows"]
    assert [row["threshold"] for row in rows] == sorted(row["threshold"] for row in rows)
    assert rows[-1]["unanswerable"] >= rows[0]["unanswerable"]
    assert files["curve.png"].read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_not_there_is_named_with_what_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([SET[0], "nowhere.jsonl"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "argument queries: 没有 nowhere.jsonl" in told
    assert "JSONL" in told


def test_a_line_that_is_no_question_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"query": "甲？", "gold": []}\n{"query": "乙？"}\n')
    with pytest.raises(InvalidRequest, match=r"q\.jsonl, line 2, can not be read \(KeyError: 'gold'\)"):
        main([SET[0], str(tmp_path / "q.jsonl")])


def test_a_threshold_refuses_no_more_than_allowed() -> None:
    values = [0.1, 0.2, 0.2, 0.9]
    for share in (0.0, 0.25, 0.5, 0.74):
        assert share_below(threshold_at(values, share), values) <= share


def test_a_logistic_fit_finds_the_weights_that_made_the_data() -> None:
    dice = np.random.default_rng(0)
    signals = dice.normal(size=(4000, 2))
    yes = (dice.random(4000) < 1 / (1 + np.exp(-(2 * signals[:, 0] - signals[:, 1] + 0.5)))).astype(float)
    weights, constant = fit_logistic(signals, yes, np.ones(4000))
    assert weights == pytest.approx([2, -1], abs=0.2)
    assert constant == pytest.approx(0.5, abs=0.2)


def test_a_choice_fit_finds_the_weights_that_made_the_data() -> None:
    dice = np.random.default_rng(0)
    signals = dice.normal(size=(3000, 4, 2))
    chosen = (signals @ [2, -1] + dice.gumbel(size=(3000, 4))).argmax(axis=1)
    right = (chosen[:, None] == np.arange(4)).astype(float)
    weights = fit_choice(signals.reshape(-1, 2), right.ravel(), np.repeat(np.arange(3000), 4))
    assert weights == pytest.approx([2, -1], abs=0.2)


def test_extraction_is_measured_on_passages_that_were_not_fitted_on(tmp_path: Path) -> None:
    """A bench in which each passage's second sentence holds the answer."""
    passages, queries = [], []
    for n, name in enumerate("甲乙丙丁戊己庚辛壬癸"):
        text = f"{name}县办法由财政部门起草。{name}县办法自{2001 + n}年起施行。其他事项另行规定。"
        passages.append({"id": name, "title": f"{name}县", "text": text})
        queries.append({"query": f"{name}县办法何时施行？", "gold": [name], "answers": [f"{2001 + n}年"]})
    for kind, lines in (("passages", passages), ("queries", queries)):
        (tmp_path / f"cmrc.{kind}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = {row["rule"]: row for row in extraction.run(tmp_path).rows}
    assert rows["cross-validated"]["contained"] == 1.0
    assert rows["as shipped"]["contained"] == 1.0
    assert rows["best 3 by idf"]["characters"] == pytest.approx(sum(len(p["text"]) for p in passages) / 10)

"""The command: what it writes, what it does the second time, and that the index takes it."""

import json
import os
import sys
from pathlib import Path

import pytest

from es_index.run import index_directory
from service_kit.errors import InvalidRequest
from service_kit.passages import open_reader
from service_kit.passages.txt_file import parse
from service_kit.settings import Settings
from tools.bench_preprocess.contents import law, notice
from tools.bench_preprocess.writers import docx_file, pdf_file, plain
from tools.preprocess import __main__ as command
from tools.preprocess import report as reports
from tools.preprocess.passages import Limits
from tools.preprocess.pool import Options
from tools.preprocess.run import Report, preprocess

TEXT = "某某管理办法\n财预〔2020〕{}号\n第一条　为规范管理，制定本办法。\n第二条　本办法自2020年3月1日起施行。\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three readable documents and one that is not."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text(TEXT.format(1), "utf-8")
    (source / "sub" / "b.md").write_text("# 乙办法\n\n第一条　乙。\n", "utf-8")
    (source / "notice.pdf").write_bytes(pdf_file.write(notice(0)))
    (source / "bad.docx").write_bytes(b"PK\x03\x04 not a zip")
    (source / ".hidden.txt").write_text("不读", "utf-8")
    (source / "~$lock.docx").write_text("不读", "utf-8")
    return source


def run(source: Path, options: Options | None = None, *, allow_empty: bool = False) -> Report:
    return preprocess(source, source.parent / "out", options or Options(), allow_empty=allow_empty)


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.txt")) if path.is_file()}


def test_what_is_written(folder: Path) -> None:
    report = run(folder)
    assert (report.new, [entry.file for entry in report.failed]) == (["a.txt", "notice.pdf", "sub/b.md"], ["bad.docx"])
    passage = parse((folder.parent / "out" / "a.txt" / "0002.txt").read_bytes())
    assert passage.title == "某某管理办法"
    assert passage.fields == {
        "doc_no": "财预〔2020〕1号", "effective": "2020-03-01", "path": "第一条", "source": "a.txt", "page": "1",
    }  # fmt: skip
    assert passage.text == "第一条　为规范管理，制定本办法。"


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    run(folder)
    preprocess(folder, tmp_path / "again", Options(), workers=2)
    assert contents(folder.parent / "out") == contents(tmp_path / "again")


def test_only_what_changed_is_read_again(folder: Path) -> None:
    run(folder)
    (folder / "a.txt").write_text(TEXT.format(2), "utf-8")
    report = run(folder)
    assert (report.new, report.changed, report.unchanged) == ([], ["a.txt"], ["notice.pdf", "sub/b.md"])
    assert len(report.entries) == 4
    assert run(folder, Options(Limits(50, 100))).unchanged == []


def test_a_passage_that_was_touched_is_made_good(folder: Path) -> None:
    run(folder)
    before = contents(folder.parent / "out")
    (folder.parent / "out" / "a.txt" / "0001.txt").unlink()
    assert run(folder).changed == ["a.txt"]
    assert contents(folder.parent / "out") == before


def test_removed_inputs_leave_and_foreign_files_stay(folder: Path) -> None:
    run(folder)
    out = folder.parent / "out"
    (out / "mine.txt").write_text("我的\n文件", "utf-8")
    (folder / "sub" / "b.md").unlink()
    assert run(folder).removed == ["sub/b.md"]
    assert not (out / "sub").exists()
    assert (out / "mine.txt").exists()


def test_fewer_passages_than_before_leave_none_behind(folder: Path) -> None:
    run(folder)
    (folder / "a.txt").write_text("某某管理办法\n第一条　只有一条。\n", "utf-8")
    run(folder)
    assert [path.name for path in (folder.parent / "out" / "a.txt").iterdir()] == ["0001.txt"]


def test_a_file_that_breaks_keeps_its_last_passages(folder: Path) -> None:
    run(folder)
    (folder / "a.txt").write_bytes(b"\0\1\2")
    report = run(folder)
    assert report.kept == ["a.txt"]
    assert (folder.parent / "out" / "a.txt" / "0001.txt").exists()
    assert any("its last passages stay" in line.en for line in reports.lines(report))


def test_a_killed_run_is_made_good(folder: Path) -> None:
    run(folder)
    out = folder.parent / "out"
    before = contents(out)
    state = out / ".preprocess.jsonl"
    state.write_text("".join(f'{{"file": "{name}"}}\n' for name in ("a.txt", "gone.txt")) + '{"file": "sub', "utf-8")
    (out / "gone.txt").mkdir()
    (out / "gone.txt" / "0001.txt").write_text("半截", "utf-8")
    assert run(folder).removed == ["gone.txt"]
    assert contents(out) == before


def test_an_input_that_is_suddenly_empty_removes_nothing(folder: Path) -> None:
    run(folder)
    for path in list(folder.rglob("*.*")):
        path.unlink(missing_ok=True)
    with pytest.raises(InvalidRequest, match="allow-empty"):
        run(folder)
    assert run(folder, allow_empty=True).removed == ["a.txt", "notice.pdf", "sub/b.md"]
    assert contents(folder.parent / "out") == {}


def test_folders_that_do_not_go_together(folder: Path) -> None:
    with pytest.raises(InvalidRequest):
        preprocess(folder, folder, Options())
    with pytest.raises(InvalidRequest):
        preprocess(folder, folder.parent, Options())
    with pytest.raises(InvalidRequest, match="No directory"):
        preprocess(folder / "none", folder / "out", Options())


def test_an_output_inside_of_the_input_is_not_read(folder: Path) -> None:
    for _ in range(2):
        report = preprocess(folder, folder / "out", Options())
    assert len(report.entries) == 4


def test_names_that_are_no_utf8(folder: Path) -> None:
    name = os.fsdecode("办法.txt".encode("gb18030"))
    (folder / name).write_text(TEXT.format(3), "utf-8")
    assert "办法.txt" in run(folder).new
    (passage, *_) = (folder.parent / "out" / name).iterdir()
    assert parse(passage.read_bytes()).source == "办法.txt"


def test_the_index_takes_it_and_finds_it(folder: Path, settings: Settings) -> None:
    (folder / "law.docx").write_bytes(docx_file.write(law(1)))
    (folder / "law.html").write_bytes(plain.html(law(2), "gb18030"))
    run(folder)
    report = index_directory(settings, str(folder.parent / "out"))
    assert report.failed == []
    assert report.passages > 50
    reader = open_reader(settings)
    hit = reader.search("财政转移支付法自何时起施行？", 2).hits[0]
    reader.close()
    assert hit.passage.title == "中华人民共和国财政转移支付法"
    assert hit.passage.effective == "2007-03-01"
    assert "本法自2007年3月1日起施行。" in hit.passage.text


def test_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["preprocess", str(folder), str(out), "--json", str(tmp_path / "r.json"), "--jobs", "2"]
    )
    monkeypatch.setenv("YIJU_LANG", "en")
    assert command.main() == 1
    said = capsys.readouterr().out
    assert "failed bad.docx: [Damaged]" in said
    assert "new 3  changed 0  unchanged 0  removed 0  failed 1" in said
    facts = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert facts == json.loads((out / "report.json").read_text("utf-8"))
    assert facts["files"] == 4
    assert sum(bar["passages"] for bar in facts["histogram"]) == facts["passages"]
    pdf = next(entry for entry in facts["entries"] if entry["file"] == "notice.pdf")
    assert pdf["pages"] > 1
    assert pdf["dropped"]["page number"] == pdf["pages"]
    page = (out / "report.html").read_text("utf-8")
    assert "Damaged" in page
    assert "关于印发《" in page


@pytest.mark.slow
def test_lengths_are_counted_by_a_models_tokenizer(folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    model = str(tmp_path / "model")
    PreTrainedTokenizerFast(tokenizer_object=letters, unk_token="[UNK]").save_pretrained(model)
    entries = {entry.file: entry for entry in run(folder, Options(tokenizer=model)).entries}
    folder_of_a = folder.parent / "out" / "a.txt"
    contents_of_a = [parse(path.read_bytes()).content for path in sorted(folder_of_a.iterdir())]
    assert entries["a.txt"].tokens == tuple(map(len, contents_of_a))


def test_wrong_limits_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["preprocess", str(folder), str(folder.parent / "o"), "--target", "2000"])
    with pytest.raises(InvalidRequest, match="--target"):
        command.main()


def test_what_a_page_reports_is_escaped(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "x.txt").write_text("<script>alert(1)</script>管理办法\n第一条　甲。\n", "utf-8")
    report = preprocess(source, tmp_path / "out", Options())
    assert "<script>" not in reports.page(report, "zh")
    assert reports.page(report, "zh") != reports.page(report, "en")

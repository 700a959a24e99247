"""What is read of one file, however the system hands it out."""

import os
from pathlib import Path

import pytest

from es_index.scan import read_passage

TEXT = "专项债务应当通过项目对应的政府性基金收入偿还。"


@pytest.mark.parametrize("most", [1, 7, 10_000])
def test_a_file_that_is_handed_out_in_pieces_is_read_whole(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(f"专项债务\n{TEXT}\n", "utf-8")
    whole = os.read
    monkeypatch.setattr("es_index.scan.os.read", lambda opened, number: whole(opened, min(number, most)))
    assert read_passage(tmp_path, "a.txt").text == TEXT


def test_what_is_appended_while_a_file_is_opened_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size was told before."""
    path = tmp_path / "a.txt"
    path.write_text(f"专项债务\n{TEXT}", "utf-8")
    told = os.fstat

    def tell(opened: int) -> os.stat_result:
        facts = told(opened)
        with path.open("a", encoding="utf-8") as file:
            file.write(TEXT)
        return facts

    monkeypatch.setattr("es_index.scan.os.fstat", tell)
    assert read_passage(tmp_path, "a.txt").text == TEXT + TEXT

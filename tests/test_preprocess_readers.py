"""What each reader makes of a file: blocks, pages, notes, what it leaves out, and how it fails."""

import io
from collections.abc import Callable

import docx
import docx.oxml.parser
import openpyxl
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from lxml import etree
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from service_kit.errors import UnreadableFile
from tools.preprocess.blocks import Paragraph, Source, Table
from tools.preprocess.errors import Damaged, NoText, Unsupported
from tools.preprocess.readers.lines import Line, to_blocks
from tools.preprocess.readers.reading import read

W = nsdecls("w")
HEIGHT = A4[1]


def texts(source: Source) -> list[str]:
    return [block.text for block in source.blocks if isinstance(block, Paragraph)]


def tables(source: Source) -> list[Table]:
    return [block for block in source.blocks if isinstance(block, Table)]


def word(*paragraphs: str, edit: Callable[[docx.document.Document], None] = lambda _: None) -> Source:
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    edit(document)
    stream = io.BytesIO()
    document.save(stream)
    return read("a.docx", stream.getvalue())


def add(parent: etree._Element, xml: str) -> None:
    """Append XML, in which {W} is the namespace."""
    parent.append(etree.fromstring(xml.replace("{W}", W), docx.oxml.parser.oxml_parser))


def pdf(*pages: Callable[[Canvas], None]) -> Source:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4)
    for draw in pages:
        canvas.setFont("STSong-Light", 12)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return read("a.pdf", stream.getvalue())


def write(canvas: Canvas, top: float, *lines: str, x: float = 80, pitch: float = 20) -> None:
    for n, line in enumerate(lines):
        canvas.drawString(x, HEIGHT - top - n * pitch, line)


FULL = "各级财政部门应当按照规定使用债券资金不得截留挤占和挪用债券资金并报备案"
"""A line as wide as the text."""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_txt_in_any_encoding(encoding: str) -> None:
    source = read("a.txt", "地方政府专项债务管理办法\r\n　　第一条　为规范管理，制定本办法。\r\n".encode(encoding))
    assert texts(source) == ["地方政府专项债务管理办法", "第一条　为规范管理，制定本办法。"]
    assert source.encoding in {encoding, "utf-16-le", "utf-16-be", "utf-16"}


def test_txt_in_big5() -> None:
    source = read("a.txt", "地方政府債務管理辦法\n第一條　為規範管理，依預算法之規定，特訂定本辦法。".encode("big5"))
    assert source.encoding == "big5"


def test_txt_cut_at_a_width_is_joined() -> None:
    line = "各级财政部门应当按照批准的预算和规定的用途使用债券资金"
    source = read("a.txt", f"　　{line[:-2]}\n{line}\n{line}。\n　　{line[:-2]}\n{line}\n完。".encode())
    assert texts(source) == [line[:-2] + line + line + "。", line[:-2] + line + "完。"]


def test_txt_pages_and_their_numbers() -> None:
    source = read("a.txt", "某办法\n正文一。\n— 1 —\n\f正文二。\n— 2 —\n".encode())
    assert [(block.text, block.page) for block in source.blocks if isinstance(block, Paragraph)] == [
        ("某办法", 1), ("正文一。", 1), ("正文二。", 2),
    ]  # fmt: skip
    assert [line.kind for line in source.dropped] == ["page number"] * 2


def test_txt_heads_that_come_on_every_page() -> None:
    pages = "".join(f"第{n}条　应当依法办理。\n第{n}页 共3页\n某市文件汇编\n" for n in "一二三").replace(
        "第一页", "第1页"
    )
    source = read("a.txt", pages.replace("第二页", "第2页").replace("第三页", "第3页").encode())
    assert texts(source) == [f"第{n}条　应当依法办理。" for n in "一二三"]


def test_mojibake_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="mojibake"):
        read("a.txt", "财政部关于印发办法的通知".encode().decode("gb18030", "replace").encode())


def test_word_numbers_that_are_drawn() -> None:
    def number(document: docx.document.Document) -> None:
        numbering = document.part.numbering_part.element
        form = '<w:start w:val="1"/><w:numFmt w:val="chineseCounting"/><w:lvlText w:val="第%1条"/>'
        level = f'<w:lvl w:ilvl="0">{form}</w:lvl>'
        numbering.insert(0, parse_xml(f'<w:abstractNum {W} w:abstractNumId="77">{level}</w:abstractNum>'))
        numbering.append(parse_xml(f'<w:num {W} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
        for paragraph in document.paragraphs:
            add(paragraph._p.get_or_add_pPr(), '<w:numPr {W}><w:ilvl w:val="0"/><w:numId w:val="77"/></w:numPr>')

    assert texts(word("甲。", "乙。", edit=number)) == ["第一条 甲。", "第二条 乙。"]


def test_word_keeps_what_is_inserted_and_leaves_what_is_deleted_or_hidden() -> None:
    def revise(document: docx.document.Document) -> None:
        p = document.paragraphs[0]._p
        add(p, "<w:ins {W}><w:r><w:t>新增，</w:t></w:r></w:ins>")
        add(p, "<w:del {W}><w:r><w:delText>删去</w:delText></w:r></w:del>")
        add(p, "<w:r {W}><w:rPr><w:vanish/></w:rPr><w:t>隐藏</w:t></w:r>")
        add(p, "<w:r {W}><w:t>完。</w:t></w:r>")

    assert texts(word("原文，", edit=revise)) == ["原文，新增，完。"]


def test_word_pages_heads_and_contents() -> None:
    def furnish(document: docx.document.Document) -> None:
        document.sections[0].header.paragraphs[0].text = "页眉"
        style = document.styles.add_style("toc 1", 1)
        document.add_paragraph("第一章 总则\t3", style=style)
        document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        document.add_paragraph("第二页")

    source = word("第一页", edit=furnish)
    assert [(b.text, b.page) for b in source.blocks if isinstance(b, Paragraph)] == [("第一页", 1), ("第二页", 2)]
    assert [line.kind for line in source.dropped] == ["contents"]


def test_word_tables_with_merged_cells() -> None:
    def add(document: docx.document.Document) -> None:
        table = document.add_table(3, 3)
        for row, values in zip(table.rows, (("部门", "金额", ""), ("", "预算", "决算"), ("甲", "1", "2")), strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
        table.cell(0, 0).merge(table.cell(1, 0))
        table.cell(0, 1).merge(table.cell(0, 2))

    (table,) = tables(word("前", edit=add))
    assert table.rows == (("部门", "金额", ""), ("部门", "预算", "决算"), ("甲", "1", "2"))
    assert table.headers == 2


def test_pdf_lines_are_joined_to_paragraphs_across_pages() -> None:
    def first(canvas: Canvas) -> None:
        write(canvas, 90, "　　" + FULL[:-2], FULL)

    def second(canvas: Canvas) -> None:
        write(canvas, 90, "完。", "　　" + FULL[:-2], "末。")

    assert texts(pdf(first, second)) == [FULL[:-2] + FULL + "完。", FULL[:-2] + "末。"]


def test_pdf_heads_numbers_and_watermarks_go() -> None:
    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            write(canvas, 40, "财政文件汇编")
            write(canvas, 100, f"第{number}页的正文在此。")
            write(canvas, HEIGHT - 40, f"— {number} —", x=280)
            canvas.rotate(45)
            canvas.drawString(400, 100, "内部资料")

        return draw

    source = pdf(*map(page, range(1, 5)))
    assert texts(source) == [f"第{number}页的正文在此。" for number in range(1, 5)]
    assert {line.kind for line in source.dropped} == {"header", "page number", "watermark"}


def test_pdf_columns_are_read_one_after_the_other() -> None:
    half = FULL[:17]

    def draw(canvas: Canvas) -> None:
        for n in range(8):  # row by row, as some programs write them
            write(canvas, 90 + 20 * n, half)
            write(canvas, 90 + 20 * n, half if n < 7 else "右末。", x=310)

    assert texts(pdf(draw)) == [half * 15 + "右末。"]


def test_pdf_tables_with_rules() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 90, "表1 限额表")
        for row, cells in enumerate((("地区", "限额"), ("甲省", "100"), ("乙省", "200"))):
            for column, cell in enumerate(cells):
                canvas.rect(80 + 100 * column, HEIGHT - 130 - 20 * row, 100, 20)
                canvas.drawString(85 + 100 * column, HEIGHT - 125 - 20 * row, cell)
        write(canvas, 200, "表后的话。")

    source = pdf(draw)
    assert [table.rows for table in tables(source)] == [(("地区", "限额"), ("甲省", "100"), ("乙省", "200"))]
    assert texts(source) == ["表1 限额表", "表后的话。"]


def test_pdf_footnotes_go_to_their_sentence() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 90, "专项债务收入")
        canvas.setFont("STSong-Light", 7)
        canvas.drawString(152, HEIGHT - 85, "1")
        canvas.setFont("STSong-Light", 12)
        write(canvas, 90, "应当专款专用。不得挪用。", x=157)
        canvas.setFont("STSong-Light", 9)
        write(canvas, 700, "1 按决算口径计算。")

    assert texts(pdf(draw)) == ["专项债务收入应当专款专用。（注：按决算口径计算。）不得挪用。"]


def test_pdf_pages_without_text_are_said() -> None:
    def scan(canvas: Canvas) -> None:
        canvas.drawInlineImage(_picture(), 0, 0, 500, 700)

    source = pdf(lambda canvas: write(canvas, 90, "有字。"), scan, scan)
    assert [warning.en for warning in source.warnings] == ["page 2–3 hold no text: scanned"]
    with pytest.raises(NoText, match="scans"):
        pdf(scan)


def _picture() -> object:
    from PIL import Image

    return Image.new("L", (8, 8), 128)


def test_pdf_of_a_turned_page() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        canvas.rotate(90)
        for n, line in enumerate(("横排第一行。", "横排第二行。")):
            canvas.drawString(80, -90 - 20 * n, line)

    assert "".join(texts(pdf(draw))) == "横排第一行。横排第二行。"


def test_html_without_the_site_around_it() -> None:
    page = """<html><body><ul class="nav"><li><a href="/">首页</a></li></ul><p>当前位置：首页 &gt; 政策</p>
    <h1>某办法</h1><p>第一条　甲<sup><a href="#fn1">[1]</a></sup>。乙。</p>
    <table><tr><th>地区</th><th>限额</th></tr><tr><td rowspan="2">甲</td><td>1</td></tr><tr><td>2</td></tr></table>
    <ol><li id="fn1">注文。<a href="#fnref1">↩</a></li></ol><div class="footer">版权所有</div></body></html>"""
    source = read("a.html", page.encode("gb18030"))
    assert texts(source) == ["某办法", "第一条　甲。（注：注文。）乙。"]
    assert tables(source)[0].rows == (("地区", "限额"), ("甲", "1"), ("甲", "2"))
    assert {line.kind for line in source.dropped} == {"navigation"}


def test_html_meta_and_line_ends() -> None:
    page = '<meta name="PubDate" content="2020-01-02"><p>为加强\n  管理，public\n  debt</p><p>甲<br>乙</p>'
    source = read("a.html", page.encode())
    assert texts(source) == ["为加强管理，public debt", "甲", "乙"]
    assert source.labels == {"published": "2020-01-02"}


def test_markdown_with_front_matter_lists_and_notes() -> None:
    text = "---\n文号: 财预〔2023〕1号\n---\n# 某办法\n\n1. 甲[^1]。\n2. 乙。\n\n|a|b|\n|-|-|\n|c|d|\n\n[^1]: 注文\n"
    source = read("a.md", text.encode())
    assert texts(source) == ["某办法", "1. 甲。（注：注文）", "2. 乙。"]
    assert tables(source)[0].rows == (("a", "b"), ("c", "d"))
    assert source.labels == {"doc_no": "财预〔2023〕1号"}


def test_a_workbook_with_titles_units_and_remarks() -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        ["限额表"],
        ["单位：亿元"],
        ["地区", "限额", "占比"],
        ["甲", 10.0, 0.125],
        ["乙", 2.5, 0.5],
        ["注：初步数"],
    ):
        sheet.append(row)
    sheet.merge_cells("A1:C1")
    sheet["C4"].number_format = "0.0%"
    sheet.cell(1_000_000, 200).number_format = "0"
    stream = io.BytesIO()
    book.save(stream)
    source = read("a.xlsx", stream.getvalue())
    assert texts(source) == ["限额表", "单位：亿元", "注：初步数"]
    assert tables(source)[0].rows == (("地区", "限额", "占比"), ("甲", "10", "12.5%"), ("乙", "2.5", "0.5"))


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_csv(delimiter: str) -> None:
    rows = [["地区", "备注"], ["甲省", f"含{delimiter}号"], ["乙省", "一行\n两行"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    (table,) = tables(read("a.csv", text.encode("gb18030")))
    assert table.rows[0] == ("地区", "备注")
    assert table.rows[2] == ("乙省", "一行 两行")


def test_the_content_decides_what_a_file_is() -> None:
    source = read("a.doc", "<html><body><p>另存为 doc 的网页。</p></body></html>".encode())
    assert source.format == "html"
    assert [warning.en for warning in source.warnings] == ["Named .doc, but the content is html"]


def test_what_is_not_read() -> None:
    with pytest.raises(Unsupported, match=r"\.png"):
        read("a.png", b"\x89PNG\r\n")
    with pytest.raises(Damaged, match="no pdf"):
        read("a.pdf", b"no pdf at all")


def test_a_title_that_ends_near_the_edge_and_rows_stay_lines_of_their_own() -> None:
    def line(text: str, x0: float, x1: float, top: float, cells: tuple[str, ...] = ()) -> Line:
        return Line(text, x0, x1, top, top + 12, 12, 1, 80, 500, cells)

    blocks = to_blocks(
        [line("第一章 总则 1", 80, 500, 0, ("第一章 总则", "1")),
         line("第二章 附则 2", 80, 500, 20, ("第二章 附则", "2")),
         line("财政部", 380, 420, 40), line("2020年1月1日", 380, 480, 60), line("附件", 80, 104, 80)], 12,
    )  # fmt: skip
    assert len(blocks) == 5


def test_a_label_alone_on_its_line_and_a_line_set_widely() -> None:
    def line(text: str, x1: float, top: float, cells: tuple[str, ...] = ()) -> Line:
        return Line(text, 80, x1, top, top + 12, 12, 1, 80, 500, cells)

    lines = [
        line("第一条", 120, 0),
        line("项目", 500, 20),
        line("按 GB/T 执行", 500, 40, ("按", "GB/T", "执行")),
        line("完。", 110, 60),
    ]
    assert to_blocks(lines, 12) == [Paragraph("第一条　项目按 GB/T 执行完。")]

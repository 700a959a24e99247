"""What tools.preprocess recognises in the words of a document: numerals, marks, numbers, facts, heads, contents."""

import pytest

from service_kit.numerals import first_date, to_int
from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.readers.docx_numbering import chinese
from tools.preprocess.structure import marks
from tools.preprocess.structure.agencies import agencies, doc_number, is_agency, is_only_number
from tools.preprocess.structure.captions import with_captions
from tools.preprocess.structure.contents import drop_contents
from tools.preprocess.structure.facts import Facts, find_facts, find_signature
from tools.preprocess.structure.front import split_front
from tools.preprocess.structure.outline import outline
from tools.preprocess.structure.text import join_lines, tidy


def paragraphs(text: str) -> list[Block]:
    return [Paragraph(line) for line in text.strip().split("\n")]


def facts_of(text: str) -> Facts:
    front, body = split_front(paragraphs(text))
    return find_facts(front, body, "文件名")


def paths(text: str, title: str = "题") -> list[tuple[str, ...]]:
    """The path of each block."""
    return [tuple(heading.text for heading in part.path) for part in outline(paragraphs(text), title, range(0))]


@pytest.mark.parametrize("number", [1, 9, 10, 11, 20, 99, 100, 101, 110, 123, 1005, 9999])
def test_chinese_numerals_read_back(number: int) -> None:
    assert to_int(chinese(number)) == number


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("二〇一八年八月十四日", "2018-08-14"),
        ("二○二三年一月五日", "2023-01-05"),
        ("二O一八年十二月三十一日", "2018-12-31"),
        ("２０２０年１月１日", "2020-01-01"),
        ("2018 年 8 月 14 日", "2018-08-14"),
        ("2018-08-14", "2018-08-14"),
        ("2018年13月40日", None),
        ("2018年8月", None),
    ],
)
def test_dates(text: str, iso: str | None) -> None:
    assert first_date(text) == iso


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("财预〔2023〕12号", "财预〔2023〕12号"),
        ("财综［2009］100 号", "财综〔2009〕100号"),
        ("发文字号：财办预(2018)34号", "财办预〔2018〕34号"),
        ("财预〔2023〕12号  签发人：张三", "财预〔2023〕12号"),
        ("银发〔2019〕第 316 号", "银发〔2019〕316号"),
        ("财政部令第81号", "财政部令第81号"),
        ("中华人民共和国主席令 第二十二号", "中华人民共和国主席令第二十二号"),
        ("财政部　税务总局公告2023年第12号", "财政部 税务总局公告2023年第12号"),
        ("GB/T 7714—2015", "GB/T 7714—2015"),
    ],
)
def test_document_numbers(line: str, number: str) -> None:
    assert doc_number(line) == number
    assert is_only_number(line)


def test_a_sentence_that_cites_a_number_is_no_number_line() -> None:
    assert not is_only_number("根据《关于加强管理的通知》（财预〔2023〕12号）的规定")


@pytest.mark.parametrize(
    "name",
    [
        "财政部",
        "财 政 部",
        "财政部 国家税务总局",
        "中共中央办公厅　国务院办公厅",
        "全国人民代表大会常务委员会",
        "中国人民银行",
        "XX省人民政府",
        "厦门市思明区财政局",
    ],
)
def test_agencies(name: str) -> None:
    assert is_agency(name)


@pytest.mark.parametrize("text", ["部长 楼继伟", "各省财政厅：", "关于加强管理的通知", "特此通知", ""])
def test_no_agencies(text: str) -> None:
    assert not is_agency(text)


def test_letter_spaced_and_joint_agencies() -> None:
    assert agencies("财 政 部") == "财政部"
    assert agencies("财政部　国家税务总局") == "财政部、国家税务总局"


@pytest.mark.parametrize(
    ("text", "expected", "label"),
    [
        ("第五条　严格管理。", 1, "第五条"),
        ("第五条严格管理。", 5, "第五条"),
        ("第五条严格管理。", 3, None),
        ("第五条规定的情形除外。", 5, None),
        ("第五条、第六条所列事项", 5, None),
        ("第五条 第二款所称事项", 3, None),
        ("第一百二十条之一　内容", 9, "第一百二十条之一"),
        ("第五條　嚴格管理。", 1, "第五條"),
        ("“第五条　严格管理。", 5, None),
    ],
)
def test_articles_and_references_to_them(text: str, expected: int, label: str | None) -> None:
    mark = marks.article(text, expected)
    assert (mark and mark.label) == label


def test_a_path_of_chapter_and_article() -> None:
    text = "第一章　总　则\n第一条　甲。\n第一条规定的除外。\n（一）乙；\n第二章　附则\n第二条　丙。"
    assert paths("\n".join(map(tidy, text.split("\n")))) == [
        ("第一章　总则", "第一条"),
        ("第一章　总则", "第一条"),
        ("第一章　总则", "第一条"),
        ("第二章　附则", "第二条"),
    ]


def test_a_path_of_listed_headings() -> None:
    text = "一、2023年总体要求\n为了发展。\n（一）指导思想。坚持原则。\n1.细则\n说明。\n二、保障措施\n加强领导。"
    assert paths(text) == [
        ("一、2023年总体要求",),
        ("一、2023年总体要求", "（一）指导思想"),
        ("一、2023年总体要求", "（一）指导思想", "1.细则"),
        ("二、保障措施",),
    ]


def test_decimal_headings_and_amounts() -> None:
    text = "1 范围\n本标准规定了要求。\n2 术语\n2.1 主体\n编制的单位。\n2.2 客体\n3.5亿元是限额。"
    assert paths(text) == [("1 范围",), ("2 术语", "2.1 主体"), ("2 术语", "2.2 客体")]


def test_a_heading_without_text_is_not_lost() -> None:
    parts = outline(paragraphs("一、甲\n二、乙\n文。"), "题", range(0))
    assert [part.block.text for part in parts if isinstance(part.block, Paragraph)] == ["一、甲", "文。"]


def test_articles_of_an_attachment_count_anew() -> None:
    text = "第一条 甲。\n第二条 乙。\n附件1\n管理办法\n第一条丙。"
    assert paths(text)[-1] == ("附件1 管理办法", "第一条")


NOTICE = """财政部文件
财预〔2023〕12号
关于印发《专项债券管理办法》的通知
各省、自治区、直辖市财政厅（局）：
为加强管理，我们制定了《专项债券管理办法》，现予印发。
本通知自印发之日起施行。《旧办法》（财预〔2009〕1号）同时废止。
附件：1.专项债券管理办法
2.自评表
财 政 部
二〇二三年六月十日
附件1
专项债券管理办法
第一条　本表填于2030年1月1日。"""


def test_facts_of_a_notice() -> None:
    assert facts_of(NOTICE) == Facts(
        "关于印发《专项债券管理办法》的通知", "财预〔2023〕12号", "财政部", "2023-06-10", "2023-06-10"
    )


def test_facts_of_an_order() -> None:
    facts = facts_of(
        "中华人民共和国财政部令\n第 81 号\n《基本建设财务规则》已经部务会议通过，现予公布，自2016年9月1日起施行。\n"
        "部长 楼继伟\n2016年4月26日\n基本建设财务规则\n第一条 为了规范行为，制定本规则。"
    )
    assert facts.title == "基本建设财务规则"
    assert facts.doc_no == "中华人民共和国财政部令第81号"
    assert (facts.issued, facts.effective) == ("2016-04-26", "2016-09-01")


def test_facts_of_a_law() -> None:
    facts = facts_of(
        "中华人民共和国预算法\n（1994年3月22日第八届全国人民代表大会第二次会议通过　根据2014年8月31日"
        "第十二届全国人民代表大会常务委员会第十次会议《关于修改的决定》第一次修正）\n"
        "第一章 总则\n第一条 为了规范收支，制定本法。\n"
        "第一百零一条 本法自1995年1月1日起施行。"
    )
    assert facts == Facts("中华人民共和国预算法", None, "全国人民代表大会", "2014-08-31", "1995-01-01")


def test_a_title_over_two_lines_and_the_agencies_above_it() -> None:
    facts = facts_of(
        "财政部　税务总局\n关于延续实施有关税收优惠\n政策的公告\n财政部 税务总局公告2023年第12号\n现将政策公告如下："
    )
    assert facts.title == "财政部 税务总局关于延续实施有关税收优惠政策的公告"
    assert facts.issuer == "财政部、税务总局"


def test_an_attachment_that_is_a_file_of_its_own() -> None:
    assert facts_of("附件1\n专项债券管理办法\n第一条　甲。").title == "专项债券管理办法"


def test_a_text_without_a_title_is_called_by_its_file() -> None:
    assert facts_of("为加强管理，现将有关事项说明如下，请各单位认真贯彻执行。\n一、总体要求").title == "文件名"


@pytest.mark.parametrize(
    ("text", "effective"),
    [
        ("本办法自2017年1月1日起施行。", "2017-01-01"),
        ("本办法由财政部负责解释，自2021年3月1日起施行。", "2021-03-01"),
        ("本规定自公布之日起三十日后施行。", "2020-03-01"),
        ("本公告自2020年1月1日起执行。", "2020-01-01"),
        ("本通知自2023年1月1日至2027年12月31日执行。", "2023-01-01"),
        ("《预算法》自1995年1月1日起施行", None),
        ("将第九条修改为：“本办法自2009年1月1日起施行。”", None),
    ],
)
def test_when_it_comes_into_force(text: str, effective: str | None) -> None:
    assert facts_of(f"某办法\n第一条 甲。\n{text}\n财政部\n2020年1月31日").effective == effective


@pytest.mark.parametrize(
    ("note", "status", "repealed"),
    [
        ("（本办法已于2020年6月1日废止）", "废止", "2020-06-01"),
        ("【已废止】", "废止", None),
        ("本文件自2018年1月1日起废止", "废止", "2018-01-01"),
        ("注：本法规已被《关于新规定的通知》（财税〔2019〕1号）全文废止", "废止", None),
        ("本办法第三条已被财预〔2020〕1号废止", "部分废止", None),
        ("本办法施行后，《旧办法》同时废止。", None, None),
        ("本办法有效期5年，到期自动失效。", None, None),
    ],
)
def test_repeal_of_this_document_and_of_others(note: str, status: str | None, repealed: str | None) -> None:
    facts = facts_of(f"某管理办法\n第一条 甲。\n第二条 乙。\n{note}")
    assert (facts.status, facts.repealed) == (status, repealed)


def test_facts_in_a_table_of_labels() -> None:
    rows = (("索引号：", "000/2014", "发文机关：", "国务院"), ("成文日期：", "2014年09月21日", "时效性：", "已废止"))
    front, body = split_front([Table(rows), Paragraph("国务院关于加强管理的意见"), Paragraph("一、甲。乙。")])
    facts = find_facts(front, body, "")
    assert (facts.issuer, facts.issued, facts.status) == ("国务院", "2014-09-21", "废止")


def test_facts_in_framed_labels() -> None:
    facts = facts_of(
        "【法规标题】某管理办法\n【颁布单位】国务院办公厅\n【发文字号】国办发〔2013〕96号\n【颁布时间】2013-9-26\n"
        "【失效时间】\n【全文】\n某管理办法\n一、甲。乙。"
    )
    assert facts == Facts("某管理办法", "国办发〔2013〕96号", "国务院办公厅", "2013-09-26")


def test_the_signature_is_the_one_above_the_attachments() -> None:
    blocks = paragraphs("正文。\n财政部\n2020年1月2日\n附件1\n某表\n填报单位\n2021年3月4日")
    signature = find_signature(blocks)
    assert signature is not None
    assert (signature.issuer, signature.issued, signature.first, signature.last) == ("财政部", "2020-01-02", 1, 2)


def test_contents_are_dropped_and_the_chapters_kept() -> None:
    blocks = paragraphs("目录\n第一章 总则\n第二章 附则……3\n第一章 总则\n第一条 甲。\n第二章 附则")
    kept, dropped = drop_contents(blocks)
    assert [block.text for block in kept if isinstance(block, Paragraph)] == [
        "第一章 总则",
        "第一条 甲。",
        "第二章 附则",
    ]
    assert [line.kind for line in dropped] == ["contents"] * 3


def test_contents_without_a_title() -> None:
    kept, dropped = drop_contents(paragraphs("一、甲......1\n二、乙......2\n三、丙......3\n一、甲"))
    assert len(kept) == 1
    assert len(dropped) == 3


def test_captions_and_remarks_go_to_their_table() -> None:
    table = Table((("地区", "金额"), ("甲", "1")))
    kept = with_captions(
        [Paragraph("前文。"), Paragraph("表1 限额表"), Paragraph("单位：亿元"), table, Paragraph("注：初步数。")]
    )
    assert kept == [Paragraph("前文。"), Table(table.rows, caption="表1 限额表 单位：亿元", remarks=("注：初步数。",))]


def test_lines_are_joined_as_the_script_wants() -> None:
    assert join_lines("专项债券应当", "依法偿还") == "专项债券应当依法偿还"
    assert join_lines("public", "debt") == "public debt"
    assert join_lines("manage-", "ment") == "management"
    assert tidy("附　则　 （ 一 ）") == "附则　（ 一 ）"

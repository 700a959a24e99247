"""The corpus: documents of the kinds that Chinese authorities issue."""

from collections.abc import Iterator

from tools.bench_preprocess.model import Model, Section
from tools.bench_preprocess.pen import ITEMS, SECTIONS, TOPICS, Pen
from tools.preprocess.readers.docx_numbering import chinese

_SALUTATION = "各省、自治区、直辖市、计划单列市财政厅（局），新疆生产建设兵团财政局："
_ISSUERS = (
    ("财政部", "财预"),
    ("国务院办公厅", "国办发"),
    ("江苏省财政厅", "苏财规"),
    ("国家税务总局", "税总发"),
    ("海南省人民政府", "琼府"),
)


def corpus() -> Iterator[Model]:
    """All documents, of every kind several."""
    for seed in range(4):
        yield notice(seed)
        yield regulation(seed)
        yield order(seed)
        yield opinion(seed)
        yield announcement(seed)
        yield law(seed)
        yield statistics(seed)


def notice(seed: int) -> Model:
    """红头文件: 关于印发…的通知 with the 办法 attached."""
    pen = Pen(100 + seed)
    issuer, prefix = _ISSUERS[seed % len(_ISSUERS)]
    year, month, day = 2015 + seed * 2, 3 + seed, 8 + seed
    topic = pen.dice.choice(TOPICS)
    old = f"《{topic}管理暂行办法》（{prefix}〔2009〕{seed + 3}号）"
    regulation_ = Model(
        name="", title=(f"{topic}管理办法",), sections=pen.chapters(f"本办法自印发之日起施行。{old}同时废止。")
    )
    iso = f"{year}-{month:02}-{day:02}"
    return Model(
        name=f"notice{seed}",
        title=("关于印发《" + topic[:6], topic[6:] + "管理办法》的通知"),
        red_head=f"{issuer}文件",
        doc_no=f"{prefix}〔{year}〕{12 + seed}号",
        issuer=issuer,
        issued=iso,
        effective=iso,
        issued_as=f"{year}年{month}月{day}日",
        salutation=_SALUTATION,
        opening=(f"为加强{topic}管理，提高资金使用效益，我们制定了《{topic}管理办法》，现予印发，请遵照执行。",),
        signature=(f"附件：{topic}管理办法", issuer, f"{year}年{month}月{day}日"),
        attachment=regulation_,
        running_head="内部资料汇编" if seed % 2 else "",
        watermark="仅供内部使用" if seed == 2 else "",
    )


def regulation(seed: int) -> Model:
    """办法 with chapters and a note on when it was issued; some with a table of contents."""
    pen = Pen(200 + seed)
    issuer, prefix = _ISSUERS[(seed + 1) % len(_ISSUERS)]
    topic = pen.dice.choice(TOPICS)
    year = 2012 + seed
    return Model(
        name=f"regulation{seed}",
        title=(f"{topic}管理实施细则",),
        doc_no=f"{prefix}〔{year}〕{101 + seed}号",
        issuer=issuer,
        issued=f"{year}-05-{10 + seed}",
        effective=f"{year + 1}-01-01",
        note=f"（{year}年5月{10 + seed}日{issuer}印发）",
        sections=pen.chapters(f"本细则自{year + 1}年1月1日起施行。"),
        contents=seed % 2 == 0,
        running_head=f"{topic}管理实施细则",
    )


def order(seed: int) -> Model:
    """令 without chapters, its date in Chinese numerals; one is repealed by now."""
    pen = Pen(300 + seed)
    topic = pen.dice.choice(TOPICS)
    year = f"二〇一{chinese(seed + 1)}"
    iso = f"201{seed + 1}-07-11"
    note = "（本办法已于2020年6月1日废止）" if seed == 3 else ""
    ending = f"本办法自201{seed + 1}年10月1日起施行。"
    return Model(
        name=f"order{seed}",
        title=(f"{topic}监督办法",),
        doc_no=f"财政部令第{80 + seed}号",
        issuer="财政部",
        issued=iso,
        effective=f"201{seed + 1}-10-01",
        issued_as=f"{year}年七月十一日",
        note=note,
        status="废止" if note else "",
        repealed="2020-06-01" if note else "",
        sections=(Section("", (*map(pen.article, range(1, 14)), pen.article(14, ending))),),
        signature=("财政部", f"{year}年七月十一日"),
    )


def opinion(seed: int) -> Model:
    """意见 with 一、（一）1., footnotes in some."""
    pen = Pen(400 + seed)
    topic = pen.dice.choice(TOPICS)
    sections = []
    for n, heading in enumerate(SECTIONS, 1):
        items = [f"（{chinese(m)}）{pen.dice.choice(ITEMS)}。{pen.paragraph(1, 4)}" for m in range(1, 4)]
        sections.append(
            Section(f"{chinese(n)}、{heading}", paragraphs=tuple(items) if n > 1 else (pen.paragraph(2, 4),))
        )
    noted = pen.sentence()
    if seed % 2:
        first = sections[0]
        sections[0] = Section(first.heading, paragraphs=(first.paragraphs[0] + noted + pen.sentence(),))
    return Model(
        name=f"opinion{seed}",
        title=(f"国务院关于进一步加强{topic}管理的意见",),
        doc_no=f"国发〔{2014 + seed}〕{43 + seed}号",
        issuer="国务院",
        issued=f"{2014 + seed}-09-{21 + seed}",
        salutation="各省、自治区、直辖市人民政府，国务院各部委、各直属机构：",
        opening=(pen.paragraph(1, 2),),
        sections=tuple(sections),
        signature=("国务院", f"{2014 + seed}年9月{21 + seed}日"),
        footnotes=((noted, f"按{2013 + seed}年末的决算口径计算，不含当年结转资金。"),) if seed % 2 else (),
        running_head="国务院公报" if seed >= 2 else "",
    )


def announcement(seed: int) -> Model:
    """公告 of two bodies, numbered paragraphs, a table of numbers."""
    pen = Pen(500 + seed)
    year = 2019 + seed
    points = [f"{chinese(n)}、{pen.paragraph(1, 3)}" for n in range(1, 5)]
    old = f"《关于有关问题的通知》（财税〔2008〕{seed + 1}号）"
    ending = f"五、本公告自{year + 1}年1月1日起执行。{old}同时停止执行。"
    return Model(
        name=f"announcement{seed}",
        title=(f"关于{pen.dice.choice(TOPICS)}有关政策的公告",),
        doc_no=f"财政部 税务总局公告{year}年第{7 + seed}号",
        issuer="财政部、税务总局",
        issued=f"{year}-11-0{seed + 1}",
        effective=f"{year + 1}-01-01",
        opening=("现将有关政策公告如下：",),
        sections=(Section("", paragraphs=(*points, ending, "特此公告。")),),
        table=pen.table(6 + seed),
        table_caption=f"表1 {year}年分地区限额情况表",
        signature=("财政部 税务总局", f"{year}年11月{seed + 1}日"),
    )


def law(seed: int) -> Model:
    """法 with the note of its passing, a table of contents, many articles."""
    pen = Pen(600 + seed)
    name = ("政府债务法", "财政转移支付法", "国有资产法", "公共采购法")[seed]
    year = 2005 + seed
    return Model(
        name=f"law{seed}",
        title=(f"中华人民共和国{name}",),
        issued=f"{year}-08-{20 + seed}",
        effective=f"{year + 1}-03-01",
        note=f"（{year}年8月{20 + seed}日第十届全国人民代表大会常务委员会第{chinese(10 + seed)}次会议通过）",
        sections=pen.chapters(f"本法自{year + 1}年3月1日起施行。", 5, 9),
        contents=True,
        running_head=f"中华人民共和国{name}",
    )


def statistics(seed: int) -> Model:
    """A table and the words around it."""
    pen = Pen(700 + seed)
    year = 2018 + seed
    return Model(
        name=f"statistics{seed}",
        title=(f"{year}年地方政府债务限额分配表",),
        table=pen.table(12 + 14 * seed),
        opening=("单位：亿元",),
        signature=(f"注：数据截至{year}年12月31日。",),
    )

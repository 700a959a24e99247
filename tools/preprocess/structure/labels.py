"""Facts that a page gives as `label: value`: in a table above the text, in lines, in a file's own metadata."""

import re
from collections.abc import Mapping

from tools.preprocess.structure.text import squeeze

_LABELS: Mapping[str, tuple[str, ...]] = {
    "title": ("标题", "法规标题", "名称", "信息名称", "文件名称", "公文名称", "title", "articletitle", "og:title"),
    "doc_no": ("发文字号", "文号", "发文号", "文件编号", "公文文号", "文件字号", "字号", "doc_no", "docno"),
    "issuer": (
        "发文机关", "发布机构", "发布机关", "制定机关", "发文单位", "发布单位", "颁布单位", "颁布机关", "发布部门",
        "印发机关", "制发机关", "发文机构", "issuer", "author",
    ),
    "issued": (
        "成文日期", "成文时间", "发文日期", "发文时间", "签发日期", "印发日期", "颁布日期", "颁布时间", "公布日期",
        "issued",
    ),
    "published": (
        "发布日期", "发布时间", "发布于", "时间", "日期", "公开日期", "生成日期", "pubdate", "publishdate", "date",
    ),
    "effective": ("施行日期", "实施日期", "生效日期", "实施时间", "施行时间", "生效时间", "执行日期", "effective"),
    "repealed": ("废止日期", "失效日期", "失效时间", "废止时间", "终止日期", "repealed"),
    "status": ("时效性", "有效性", "时效", "效力状态", "文件状态", "状态", "效力", "是否有效", "status"),
    "other": (
        "索引号", "主题分类", "主题词", "公开方式", "公开类别", "公开范围", "来源", "信息来源", "文章来源",
        "浏览次数", "点击数", "点击", "阅读次数", "阅读", "字体", "字号大小", "分类", "体裁分类", "体裁", "关键词",
        "责任编辑", "编辑", "作者", "有效期", "法规来源", "全文", "正文",
        "效力级别", "效力等级", "公开形式", "公开时限", "信息索引号", "组配分类", "服务对象", "所属类别", "语种",
        "信息分类", "公开属性", "访问次数", "访问量", "浏览量", "内容概述", "载体类型", "记录形式",
    ),
}  # fmt: skip
_MEANING = {label: meaning for meaning, labels in _LABELS.items() for label in labels}
_PAIR = re.compile(r"([^：:〔\[]{2,12})[：:][\s\u3000]*(.*)", re.DOTALL)
_FRAMED = re.compile(r"[【\[]([^】\]]{2,8})[】\]]\s*(.*)", re.DOTALL)
"""【发文字号】国办发〔2013〕96号, as collections of laws print it."""
_NEXT = re.compile(
    rf"[\s\u3000|｜]+(?=(?:{'|'.join(sorted(map(re.escape, _MEANING), key=len, reverse=True))})\s*[：:])"
)


def meaning(label: str) -> str | None:
    """What a label names, a key of `_LABELS`; None when it is none that is known."""
    return _MEANING.get(squeeze(label).strip("：:【】[]").lower())


def in_line(line: str) -> dict[str, str] | None:
    """The facts in a line made of known labels (发文机关：财政部　成文日期：2018年8月14日); None for any other line."""
    if (framed := _FRAMED.fullmatch(line.strip())) and (known := meaning(framed[1])):
        return {known: framed[2].strip()}
    facts: dict[str, str] = {}
    for part in _NEXT.split(line.strip()):
        pair = _PAIR.fullmatch(part.strip())
        known = meaning(pair[1]) if pair else None
        if not pair or known is None:
            return None
        facts.setdefault(known, pair[2].strip())
    return facts


def in_rows(rows: tuple[tuple[str, ...], ...]) -> dict[str, str] | None:
    """The facts in a table of labels and values side by side; None when it is another table."""
    facts: dict[str, str] = {}
    pairs = labelled = 0
    for row in rows:
        cells = [cell.strip() for cell in row]
        at = 0
        while at < len(cells):
            known = meaning(cells[at]) if cells[at] else None
            if known and at + 1 < len(cells):
                facts.setdefault(known, cells[at + 1])
                pairs, labelled, at = pairs + 1, labelled + 1, at + 2
                continue
            inline = in_line(cells[at]) if cells[at] else {}
            if inline:
                facts.update({key: value for key, value in inline.items() if key not in facts})
                labelled += 1
            pairs += bool(cells[at])
            at += 1
    return facts if labelled >= 2 and labelled >= 0.6 * pairs else None

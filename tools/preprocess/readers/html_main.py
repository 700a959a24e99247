"""Which part of a web page is the document, and which is the site around it."""

import re

from lxml import etree

from tools.preprocess.structure import labels
from tools.preprocess.structure.text import squeeze

_TAGS = {"nav", "footer", "aside"}
_NAMES = re.compile(
    r"(?:^|[-_\s])(?:nav(?:bar|igation)?|menu|footer?|foot|breadcrumbs?|crumbs?|share|bdsharebuttonbox|sidebar|"
    r"copyright|toolbar|related|recommend|pagination|pager|search|login|banner|topbar|friendlinks?|qrcode|"
    r"position|location|dqwz|crumb-nav|pagefoot|pagehead|relnews|hot-?news|advert|ads?|comments?|print|close)(?:$|[-_\s\d])",
    re.IGNORECASE,
)
_PARTS = re.compile(r"breadcrumb|navbar|footer|copyright|sidebar|sharebox|toolbar|pagination|recommend", re.IGNORECASE)
_CONTENT_NAMES = re.compile(
    r"(?:^|[-_\s])(?:UCAP-CONTENT|TRS_Editor|trs_editor_view|pages_content|article-?(?:content|body|con|main|box)?|zoom|content|"
    r"detail-?(?:content)?|zhengwen|xxgk-?content|main-?(?:content|text)|text-?content|news_?content|con_?text|wzcon)(?:$|[-_\s\d])",
    re.IGNORECASE,
)
_BUTTON = r"(?:打印(?:本页)?|关闭(?:窗口)?|分享|收藏|返回顶部|纠错|字体|字号|大|中|小)"
_WORDS = re.compile(
    r"(?:网站)?(?:首页|主页)\s*(?:>|›|»|/|→|-|＞|&gt;).*|(?:您|你)?(?:当前|所在|现在)?的?位置[:：].*|"
    r".*(?:ICP备|公网安备|版权所有|网站标识码|技术支持[:：]|All Rights Reserved).*|"
    rf"(?:[【\[]?\s*{_BUTTON}\s*[:：]?[】\]]?[\s|]*)+|"
    r"(?:上一篇|下一篇|相关(?:链接|阅读|文章|新闻|稿件)|扫一扫|分享到|返回首页|责任编辑)[:：]?.*",
    re.IGNORECASE | re.DOTALL,
)
"""What sites write around a document."""
_LEAF = {"p", "div", "li", "span", "td", "ul", "dl", "ol", "h3", "h4", "h5", "h6", "section"}
_LONGEST_WORDS = 300
_MOST_LINKED = 0.6
_LEAST_SHARE = 0.5
"""Of the page's own text that a content element must hold to be taken as the document."""


def is_navigation(element: etree._Element) -> bool:
    """Whether an element belongs to the site, and not to the document."""
    tag = element.tag
    if tag in _TAGS or element.get("role") in {"navigation", "banner", "contentinfo", "search"}:
        return True
    style = (element.get("style") or "").replace(" ", "").lower()
    if "display:none" in style or element.get("hidden") is not None:
        return True
    if tag in {"body", "html", "article", "main", "table", "tbody", "tr", "h1"}:
        return False
    if tag == "header" and element.find(".//h1") is None:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    if names != " " and (_NAMES.search(names) or _PARTS.search(names)) and not _CONTENT_NAMES.search(names):
        return element.find(".//h1") is None and len(_text(element)) < 1500
    if tag not in _LEAF:
        return False
    text = _text(element)
    if not text or len(text) > _LONGEST_WORDS:
        return False
    if _WORDS.fullmatch(text) or _WORDS.fullmatch(squeeze(text)):
        return True
    return _is_linked(element, text)


def _is_linked(element: etree._Element, text: str) -> bool:
    """Whether a list or a group is made of links: a menu. A single paragraph with a link is not."""
    links = list(element.iter("a"))
    linked = sum(len(squeeze(_text(link))) for link in links if not (link.get("href") or "").startswith("#"))
    many = 3 if element.tag in {"ul", "ol", "div", "dl", "section"} else 4
    return len(links) >= many and linked >= _MOST_LINKED * len(squeeze(text)) and not re.search("附件", text)


def find_main(root: etree._Element) -> etree._Element:
    """The element to read: the whole body, unless one element that is named as content holds the head and the text."""
    body = root.find("body")
    if body is None:
        return root
    whole = len(squeeze(_text(body))) or 1
    for element in [*body.iter("article"), *body.iter("main")]:
        if len(squeeze(_text(element))) >= _LEAST_SHARE * whole and _holds_head(body, element):
            return element
    return body


def _holds_head(body: etree._Element, element: etree._Element) -> bool:
    """Whether the page's <h1> is inside of it."""
    head = body.find(".//h1")
    return head is None or element in list(head.iterancestors())


def meta_labels(root: etree._Element) -> dict[str, str]:
    """What <meta> says of the document, by meaning; from the page's own words it may still differ."""
    found: dict[str, str] = {}
    for meta in root.iter("meta"):
        name, value = meta.get("name") or meta.get("property") or "", (meta.get("content") or "").strip()
        known = labels.meaning(name) if name and value else None
        if known in {"title", "published", "doc_no", "issued"}:
            found.setdefault(known, value)
    return found


def _text(element: etree._Element) -> str:
    pieces = []
    for node in element.iter():
        if node.tag in {"script", "style"} or not isinstance(node.tag, str):
            pieces.append(node.tail or "" if node is not element else "")
            continue
        pieces.append(node.text or "")
        if node is not element:
            pieces.append(node.tail or "")
    return "".join(pieces).strip()

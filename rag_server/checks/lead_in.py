"""Openings that claim nothing: 根据《…》第五条的规定, 综上所述, 材料显示."""

import re

from rag_server.checks.tokens import fold

_CUE = r"(?:根据|依据|按照|依照|遵照|基于|参照|结合|参考|按|据|依|从|由|在)"
_VOCABULARY = re.compile(
    r"材料|资料|参考|文件|文献|文本|文章|文段|段落|规定|要求|精神|原则|上述|上文|上面|下文|原文|文中|本文|以上|以下|前述|所给|给出|给定|提供|所附|"
    r"内容|信息|检索|结果|到|证据|依据|根据|有关|相关|现有|现行|已有|该|本|此|这|条款|条文|法律|法规|规章|政策|制度|办法|条例|通知|意见|细则|"
    r"介绍|描述|记载|记录|报道|显示|可知|可见|得知|看出|来看|所知|可以|我们|[您你]|查询|所|的|中|里|之|第|条|款|项|目|及|和|与|、|了解|悉|知|说明|表述|"
    r"明确|指出|提到|提及|称|述|引用|来源|页|段|第?\s*\[\d+\]|[\s\[\]()（）“”\"'—…·]"
)
_SAID = (
    r"(?:明确|清楚|中|里|对此|曾|还|也|均|都|已|的)*"
    r"(?:规定|指出|显示|提到|提及|表明|说明|记载|介绍|要求|写道|描述|称|载明|写明|强调|认为|可知|可见)(?:了|到|道)?"
)
_DOCUMENT = (
    r"(?:上述|该|本|所给|提供的|相关|有关|现有)?(?:参考)?"
    r"(?:材料|资料|文件|文献|参考|文中|原文|规定|办法|条例|通知|意见|条文|法律|法规|文章|文本|依据)"
)
_OPENINGS = re.compile(
    r"(?:综上(?:所述|可知|可见)?|总之|总而言之|因此|所以|故而|由此可见|由此可知|由此|可见|可知|简言之|简而言之|简单来说|简单地说|总的来说|总的来讲|"
    r"总体而言|总体来看|概括来说|概括而言|概括地说|具体来说|具体而言|具体地说|具体来讲|首先|其次|再次|再者|最后|此外|另外|同时|除此之外|与此同时|"
    r"也就是说|换言之|换句话说|即是说|答案?(?:是|为)?[:,]|回答[:,]|结论(?:是|为)?[:,]|您好|你好|好的|可以看出|可以看到|可以得知|"
    r"我们可以(?:看到|看出|知道|得知)|需要(?:注意|说明|指出|强调)的是|值得(?:注意|一提|指出)的是|一般来说|一般而言|通常来说|事实上|实际上|众所周知|"
    r"经(?:查询?|核实|查阅|检索|查证|核查)了?(?:相关|有关)?(?:材料|资料|文件)?(?:可知|发现|得知)?|查阅(?:相关|有关)?(?:材料|资料|文件)(?:可知|发现)?|据(?:悉|了解|介绍|记载|报道|材料|资料)(?:所述|显示|介绍|可知|记载|报道|指出)?|"
    r"关于(?:这个|该|此)问题|对于(?:这个|该|此)问题|针对(?:这个|该|此|您的)问题|就(?:此|这个问题)|对此|(?:相关|有关|具体)?(?:条文|规定|条款|内容|原文)(?:为|是|如下)[:,]|[针对关于就]{1,2}[您你](?:的|所)?(?:提问|问题|咨询|问的?问题)|"
    rf"{_DOCUMENT}{_SAID})"
    r"\s*[,:、。]*\s*"
)
_ENGLISH = re.compile(
    r"(?:according to (?:the )?(?:references?|documents?|materials?|text|passages?|evidence|provisions?|rules?|law)|"
    r"in summary|in conclusion|therefore|thus|overall|in short|in addition|additionally|moreover|furthermore|also|"
    r"specifically|finally|first|firstly|second|secondly|as stated|the (?:document|text|passage|reference|material)s? "
    r"(?:states?|says?|shows?|notes?|provides?)(?: that)?|"
    r"based on the (?:references?|documents?|text|passages?|evidence))\s*[,:]?\s+"
)
_FIRST_CLAUSE = re.compile(r"[^,:;。!?]{1,90}?[,:]")
_NAMED = re.compile(r"《[^《》]{1,60}》|\"[^\"]{1,60}\"|\0")
_NUMERAL = r"[\d一二三四五六七八九十百千〇零]+"
_NUMBERED = re.compile(
    rf"[\u4e00-\u9fff]{{0,8}}[〔\[(【]{_NUMERAL}[〕\])】]第?{_NUMERAL}号(?:文(?!件))?|第?\(?{_NUMERAL}\)?(?:条|款|项|章|节|编|号)(?:之{_NUMERAL})?"
)
MOST = 4


def only_leads(text: str) -> bool:
    """Whether a text is nothing but the beginning of an opening, cut off by a mark: 根据第, 从材料, 资料.

    >>> only_leads("从材料"), only_leads("甲得乙")
    (True, False)
    """
    said = fold(text).strip(" \n\t,:、")
    return not _VOCABULARY.sub("", re.sub(rf"^{_CUE}", "", said))


def opening(folded: str, title: str, passage: str) -> int:
    """How many characters at the beginning of a (folded) sentence only lead in.

    What such an opening names (a document, an article, a 文号) is still to be checked: it may name the wrong one.
    A clause that stands in the passage itself is no opening.

    >>> opening("根据《预算法》第三十五条的规定,不得举债。", "预算法", "不得举债。")
    16
    """
    at = 0
    for _ in range(MOST):
        length = _one(folded[at:], title, passage)
        if not length:
            break
        at += length
    return at


def _one(text: str, title: str, passage: str) -> int:
    blank = len(text) - len(text.lstrip(" \n\t\"'“”「"))
    rest = text[blank:]
    fixed = _OPENINGS.match(rest) or _ENGLISH.match(rest)
    if fixed and fixed.group().strip(" ,:、。") not in passage:
        return blank + fixed.end()
    named = (
        re.sub(rf"(?:中华人民共和国)?{re.escape(title)}", lambda match: "\0" * len(match.group()), rest)
        if title
        else rest
    )
    clause = _FIRST_CLAUSE.match(named)
    if clause is None or rest[: clause.end() - 1] in passage:
        return 0
    said = clause.group()[:-1]
    left = re.sub(rf"^{_CUE}", "", said)
    bare = _NUMBERED.sub("", _NAMED.sub("", left))
    if (left == said and bare == left) or _VOCABULARY.sub("", bare):
        return 0
    return blank + clause.end()

"""Writes official Chinese: sentences, articles, chapters and tables, the same ones for the same seed."""

import random

from tools.bench_preprocess.model import Grid, Section
from tools.preprocess.readers.docx_numbering import chinese

_ACTORS = (
    "各级财政部门",
    "省级政府财政部门",
    "项目主管部门",
    "项目单位",
    "债券发行人",
    "国库支付机构",
    "县级以上人民政府",
    "审计机关",
    "行业主管部门",
    "预算单位",
    "代理银行",
    "信用评级机构",
)
_DUTIES = (
    "应当按照批准的预算和规定的用途使用债券资金，不得截留、挤占和挪用",
    "负责组织本地区专项债务限额的分配、申报、审核和下达工作",
    "应当建立健全项目全生命周期的绩效管理制度，并将评价结果作为安排预算的依据",
    "应当在每年3月31日前将上一年度执行情况报送上一级主管部门备案",
    "应当对申报材料的真实性、合规性和完整性负责，并接受社会监督",
    "可以根据需要委托第三方机构开展评估，所需费用由同级财政承担",
    "发现违反财经纪律的行为，应当及时制止并依法移送有关机关处理",
    "应当按规定向社会公开项目收益、还本付息和资产负债情况",
    "不得以任何形式为企业融资提供担保，也不得承诺回购投资本金",
    "应当将还本付息支出列入年度预算，按时足额缴入指定账户",
    "应当于收到申请之日起15个工作日内作出是否批准的书面决定",
    "在执行中确需调整用途的，应当按照原程序报经批准",
)
_REASONS = (
    "为规范政府举债融资行为",
    "为提高财政资金使用效益",
    "根据《中华人民共和国预算法》第三十五条的规定",
    "按照依法合规、公开透明的原则",
    "在确保工程质量和资金安全的前提下",
    "结合本地区经济社会发展实际",
    "对纳入限额管理的存量债务",
)
TOPICS = (
    "专项债券项目资金绩效",
    "政府采购评审专家",
    "行政事业性国有资产",
    "一般债务预算",
    "彩票公益金",
    "财政票据",
    "城乡义务教育补助经费",
)
_HEADINGS = ("总则", "限额与预算编制", "预算执行和决算", "绩效管理", "监督检查", "法律责任")
SECTIONS = ("总体要求", "主要任务", "完善配套制度", "强化监督问责", "保障措施")
ITEMS = ("加强组织领导", "明确责任分工", "优化审批流程", "严格资金监管", "推进信息公开", "防范债务风险")
_REGIONS = ("北京市", "河北省", "江苏省", "浙江省", "安徽省", "广东省", "四川省", "云南省", "甘肃省", "海南省")


class Pen:
    """Writes sentences; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311

    def sentence(self) -> str:
        start = f"{self.dice.choice(_REASONS)}，" if self.dice.random() < 0.4 else ""
        more = f"；涉及金额超过{self.dice.randint(2, 900)}万元的，从其规定" if self.dice.random() < 0.3 else ""
        return f"{start}{self.dice.choice(_ACTORS)}{self.dice.choice(_DUTIES)}{more}。"

    def paragraph(self, least: int = 1, most: int = 3) -> str:
        return "".join(self.sentence() for _ in range(self.dice.randint(least, most)))

    def article(self, number: int, ending: str = "") -> tuple[str, ...]:
        mark = f"第{chinese(number)}条　"
        if ending:
            return (mark + ending,)
        kind = self.dice.random()
        if kind < 0.2:
            items = [f"（{chinese(n)}）{self.dice.choice(_DUTIES)}；" for n in range(1, self.dice.randint(3, 5))]
            return (
                f"{mark}{self.dice.choice(_ACTORS)}有下列情形之一的，由上级机关责令改正：",
                *items[:-1],
                items[-1][:-1] + "。",
            )
        if kind < 0.45:
            return (mark + self.paragraph(), self.paragraph(1, 2))
        if kind < 0.55 and number > 2:  # a paragraph that begins with a reference to another article
            return (mark + self.paragraph(), f"第{chinese(number - 1)}条规定的情形，{self.sentence()}")
        return (mark + self.paragraph(),)

    def chapters(self, ending: str, least: int = 2, most: int = 6) -> tuple[Section, ...]:
        sections, number = [], 0
        for n in range(1, self.dice.randint(3, 6) + 1):
            last = n > 2 and self.dice.random() < 0.3
            articles = []
            for _ in range(self.dice.randint(least, most)):
                number += 1
                articles.append(self.article(number))
            sections.append(Section(f"第{chinese(n)}章　{_HEADINGS[(n - 1) % len(_HEADINGS)]}", tuple(articles)))
            if last:
                break
        number += 1
        closing = Section(
            f"第{chinese(len(sections) + 1)}章　附则", (self.article(number), self.article(number + 1, ending))
        )
        return (*sections, closing)

    def table(self, rows: int) -> Grid:
        head = ("地区", "新增限额", "已发行额", "执行率")
        body = []
        for n in range(rows):
            limit = self.dice.randint(100, 9999)
            issued = self.dice.randint(50, limit)
            body.append(
                (
                    _REGIONS[n % len(_REGIONS)] + ("" if n < len(_REGIONS) else f"{n}区"),
                    f"{limit}.5",
                    str(issued),
                    f"{issued * 100 // limit}%",
                )
            )
        return (head, *body)

"""A few passages for tests, indexed by the real writer."""

from service_kit.passages import Passage, open_writer
from service_kit.settings import Settings

SPECIAL = Passage(
    "地方政府专项债务预算管理办法",
    "专项债务收入应当用于公益性资本支出，不得用于经常性支出。专项债务本金通过对应的政府性基金收入、专项收入、"
    "发行专项债券等偿还。",
    doc_no="财预〔2016〕155号",
    effective="2016-11-09",
    path="第五条",
    source="办法.docx",
)
GENERAL = Passage(
    "地方政府一般债务预算管理办法",
    "一般债务收入应当用于公益性资本支出，不得用于经常性支出。一般债务应当通过一般公共预算收入、发行一般债券等偿还。",
    doc_no="财预〔2016〕154号",
    source="一般.docx",
)
DISCLOSURE = Passage("预算公开", "经批准的预算应当在批准后二十日内由本级政府财政部门向社会公开。", source="公开.docx")
PASSAGES = (SPECIAL, GENERAL, DISCLOSURE)


def index_passages(settings: Settings, passages: tuple[Passage, ...] = PASSAGES) -> None:
    """Fill the index that `settings` names."""
    writer = open_writer(settings)
    writer.upsert(passages)
    writer.commit()
    writer.close()

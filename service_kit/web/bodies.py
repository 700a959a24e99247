"""Request bodies: bytes in, a validated frozen model out, or an InvalidRequest that says what is wrong."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from service_kit.errors import InvalidRequest


class Body(BaseModel):
    """A request body. Unknown fields are ignored; `allowed` tells a caller what the fields may be."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)
    allowed: ClassVar[Mapping[str, str]] = {}


BodyT = TypeVar("BodyT", bound=Body)

_ZH_FAULTS = {
    "missing": "缺少此字段",
    "string_type": "应为字符串",
    "int_type": "应为整数",
    "float_type": "应为数字",
    "bool_type": "应为 true 或 false",
    "list_type": "应为数组",
    "tuple_type": "应为数组",
    "model_type": "应为 JSON 对象",
    "dict_type": "应为 JSON 对象",
    "json_invalid": "不是合法的 JSON（须为 UTF-8 编码）",
    "literal_error": "取值应为 {expected}",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "string_too_short": "长度应不少于 {min_length}",
    "string_too_long": "长度应不超过 {max_length}",
    "too_short": "应至少有 {min_length} 项",
    "too_long": "应至多有 {max_length} 项",
    "finite_number": "应为有限的数字",
    "not_text": "应为字符串或文本片段的数组",
    "extra_forbidden": "没有此字段",
    "date_type": "应为日期 YYYY-MM-DD",
    "date_parsing": "应为日期 YYYY-MM-DD",
    "date_from_datetime_parsing": "应为日期 YYYY-MM-DD",
    "date_from_datetime_inexact": "应为日期 YYYY-MM-DD",
    "blank": "最后一条消息没有内容",
    "one_of_three": "messages、text、texts 须给出且只给出一个",
}


def read_body(model: type[BodyT]) -> BodyT:
    """The current request's body as `model`, whatever its Content-Type.

    Raises:
        InvalidRequest: not UTF-8, not JSON (lone surrogates included), or not what `model` takes.
        PayloadTooLarge: over the app's limit.
    """
    return parse_body(model, request.get_data())


def parse_body(model: type[BodyT], data: bytes) -> BodyT:
    """`data` as `model`; see `read_body`."""
    if not data.strip():
        raise InvalidRequest("请求体为空", "The request body is empty", allowed=dict(model.allowed))
    try:
        return model.model_validate_json(data.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    zh = "；".join(_where(fault) + _zh(fault) for fault in faults[:3])
    en = "; ".join(_where(fault) + fault["msg"].removeprefix("Value error, ") for fault in faults[:3])
    raise InvalidRequest(f"请求有误：{zh}", f"Bad request: {en}", allowed=dict(model.allowed))


def _where(fault: Any) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]]
    return "".join(steps).removeprefix(".") + ": " if steps else ""


def _zh(fault: Any) -> str:
    form = _ZH_FAULTS.get(fault["type"])
    message: str = fault["msg"]
    return form.format(**fault.get("ctx", {})) if form else message.removeprefix("Value error, ")

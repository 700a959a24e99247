"""Below which confidence a question is refused: a number that was measured, with when and on what."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service_kit.errors import SettingsError
from service_kit.settings import Settings

SHIPPED = Path(__file__).parent / "calibration.json"
"""Made by `python -m tools.calibrate`; the README has the command."""


class Calibration(BaseModel):
    """What `python -m tools.calibrate --write` writes."""

    model_config = ConfigDict(frozen=True)

    threshold: float = Field(ge=0, le=1)
    date: str
    """YYYY-MM-DD."""
    set: str
    questions: int
    false_refusal: float
    """Share of the answerable questions below the threshold."""
    refusal: float
    """Share of the unanswerable ones below it."""


def refuse_below(settings: Settings) -> float:
    """`YIJU_REFUSE_BELOW`, else the threshold of the file `YIJU_CALIBRATION`, else the shipped one.

    Raises:
        SettingsError: that file can not be read or is no calibration.
    """
    if settings.refuse_below is not None:
        return settings.refuse_below
    return read_calibration(settings.calibration or SHIPPED).threshold


@cache
def read_calibration(path: Path) -> Calibration:
    """Raises SettingsError: the file can not be read or is no calibration."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise SettingsError(
            f"YIJU_CALIBRATION：{path} 不是校准文件（{reason}）",
            f"YIJU_CALIBRATION: {path} is no calibration ({reason})",
        ) from None

"""Where settings come from beside the environment itself: a file for each secret; and how a bad value is told."""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from service_kit.errors import SettingsError

PREFIX = "YIJU_"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads each secret from the file that `YIJU_<NAME>_FILE` names."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text("utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            name = f"{PREFIX}{field_name.upper()}_FILE"
            raise SettingsError(f"{name}：读不了 {path}（{error}）", f"{name}: can not read {path} ({error})") from None

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(None, name)[0] for name in secret_fields(self.settings_cls)}
        return {name: value for name, value in found.items() if value is not None}


def secret_fields(settings_cls: type[BaseSettings]) -> list[str]:
    """Names of the fields that hold a secret."""
    fields = settings_cls.model_fields.items()
    return [name for name, field in fields if SecretStr in (field.annotation, *get_args(field.annotation))]


def describe(fault: Any) -> str:
    """One fault of pydantic as a line that names the variable."""
    name = PREFIX + "_".join(str(part) for part in fault["loc"]).upper()
    # The value itself stays out: it may be a secret.
    return f"  {name}: {fault['msg'].removeprefix('Value error, ')}"

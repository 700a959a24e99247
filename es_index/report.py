"""What a run did, for people and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from service_kit.words import Words


@dataclass(frozen=True)
class Failure:
    """One file or sub-directory that could not be read."""

    file: str
    reason: Words


@dataclass
class Report:
    """Files by what became of them; filled while the run goes on."""

    directory: str
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    whole: bool = True
    """Whether everything under the directory was seen; if not, no passage was taken out of the index."""
    begun_anew: bool = False
    """Whether the index had to be built from nothing."""
    forgotten: list[str] = field(default_factory=list)
    """Directories whose passages went with the old index."""
    passages: int = 0
    """Passages in the index after the run, of all directories."""
    seconds: float = 0.0
    """How long the run took."""

    @property
    def changed_anything(self) -> bool:
        """Whether there is anything to tell of beside unchanged files."""
        return bool(self.begun_anew or self.new or self.changed or self.removed or self.failed)

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        shown["failed"] = [{"file": one.file, "reason": one.reason._asdict()} for one in self.failed]
        return shown

    def lines(self) -> Iterator[Words]:
        """The report as people read it."""
        if self.begun_anew:
            yield Words(
                "索引已从头建立；如有其他目录，请一并重新索引",
                "The index was built from nothing; index other directories again, if there are any",
            )
        for directory in self.forgotten:
            yield Words(
                f"此目录的段落已随旧索引丢失，请重新索引：{directory}",
                f"Passages of this directory went with the old index; index it again: {directory}",
            )
        for failure in self.failed:
            yield Words(f"失败 {failure.file}：{failure.reason.zh}", f"failed {failure.file}: {failure.reason.en}")
        if not self.whole:
            yield Words(
                "目录未能完整读取，本次不从索引中移除任何段落",
                "The directory could not be read whole; no passage was taken out of the index",
            )
        new, changed, removed, failed = (len(files) for files in (self.new, self.changed, self.removed, self.failed))
        yield Words(
            f"新增 {new}  变更 {changed}  未变 {self.unchanged}  移除 {removed}  失败 {failed}",
            f"new {new}  changed {changed}  unchanged {self.unchanged}  removed {removed}  failed {failed}",
        )
        yield Words(f"索引共有 {self.passages} 个段落", f"The index holds {self.passages} passages")

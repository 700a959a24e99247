"""What a measurement gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Figure = float | int | str | None


@dataclass(frozen=True)
class Table:
    """Rows that all have the same columns, and a line for each bar that was missed."""

    title: str
    rows: Sequence[Mapping[str, Figure]]
    missed: Sequence[str] = ()


def render(table: Table) -> str:
    """The table as text: title, columns, rows; shares with three digits."""
    columns = list(table.rows[0]) if table.rows else []
    cells = [columns, *([_shown(row[column]) for column in columns] for row in table.rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(
        [table.title, *(f"  {line.rstrip()}" for line in lines), *(f"  MISSED: {m}" for m in table.missed)]
    )


def _shown(figure: Figure) -> str:
    if figure is None:
        return "–"
    return f"{figure:.3f}" if isinstance(figure, float) else str(figure)


def _width(cell: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if "\u2e80" <= char <= "\uffef" else 1 for char in cell)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))

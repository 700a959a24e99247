"""A file's content -> Source, by whichever reader its format has."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tools.preprocess.blocks import Source
from tools.preprocess.formats import OFFICE, recognise
from tools.preprocess.readers import docx, html, markdown, office, pdf, sheets, txt

_READERS: Mapping[str, Callable[[bytes], Source]] = {
    "docx": docx.read,
    "pdf": pdf.read,
    "html": html.read,
    "md": markdown.read,
    "xlsx": sheets.read_xlsx,
    "csv": sheets.read_csv,
    "txt": txt.read,
}


def read(name: str, data: bytes) -> Source:
    """The blocks of one file. `name` matters for its ending only.

    Raises:
        DocumentError, UnreadableFile: why it can not be read.
    """
    format_, said = recognise(name, data)
    if format_ in OFFICE:
        data, target = office.converted(data, format_)
        # What comes back is looked at again: LibreOffice keeps macros and unpacks what was packed.
        recognise(f"x.{target}", data)
        source = replace(_READERS[target](data), format=format_)
    else:
        source = _READERS[format_](data)
    return replace(source, warnings=(*said, *source.warnings))

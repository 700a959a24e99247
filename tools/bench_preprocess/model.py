"""What a document of the corpus holds, before any format: the writers set it, the score compares with it."""

from dataclasses import dataclass, field

Grid = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading with what is below it."""

    heading: str
    articles: tuple[tuple[str, ...], ...] = ()
    """Each article: its paragraphs, the first with 第N条."""
    paragraphs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """One document. What is empty is not set."""

    name: str
    """Of its file, without the ending."""
    title: tuple[str, ...]
    """Its lines."""
    red_head: str = ""
    doc_no: str = ""
    issuer: str = ""
    issued: str = ""
    """ISO."""
    issued_as: str = ""
    """As it is printed."""
    effective: str = ""
    repealed: str = ""
    status: str = ""
    note: str = ""
    """In brackets below the title: 通过, 公布."""
    salutation: str = ""
    opening: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    signature: tuple[str, ...] = ()
    """Lines, the date last."""
    attachment: "Model | None" = None
    table: Grid = ()
    table_caption: str = ""
    footnotes: tuple[tuple[str, str], ...] = field(default=())
    """A sentence of the text (with its full stop), and the note on it."""
    contents: bool = False
    """Whether a table of contents is set."""
    running_head: str = ""
    watermark: str = ""

    @property
    def full_title(self) -> str:
        return "".join(self.title)

    def articles(self) -> list[str]:
        """Every article's text, also those of the attachment."""
        own = ["".join(article) for section in self.sections for article in section.articles]
        return own + (self.attachment.articles() if self.attachment else [])

    def text(self) -> list[str]:
        """All that must be found in the passages, piece by piece; title and number stand apart from them."""
        pieces = [self.note, self.salutation, *self.opening]
        for section in self.sections:
            pieces += [section.heading, *(p for article in section.articles for p in article), *section.paragraphs]
        pieces += [self.table_caption, *(cell for row in self.table for cell in row)]
        pieces += [*self.signature, *(note for _, note in self.footnotes)]
        if self.attachment:
            pieces += [self.attachment.full_title, *self.attachment.text()]
        return [piece for piece in pieces if piece]

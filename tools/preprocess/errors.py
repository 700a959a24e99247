"""Why a document gives no passages.

    YijuError
    └── DocumentError
        ├── Unsupported      a format that is not read
        ├── NeedsOffice      doc, wps, …: LibreOffice is not installed, or fails on the file
        ├── Encrypted        a password is needed
        ├── HasMacros        it carries code
        ├── Damaged          truncated, malformed, not what it says it is
        ├── TooLarge         over the limit, packed or unpacked (a zip bomb)
        ├── NoText           nothing to read: empty, or a scan without a text layer
        ├── TimeOut          over the time for one file
        ├── OutOfMemory      over the memory for one file
        └── WorkerDied       a library crashed on it

One file's error never ends the run; `name` is what reports call it. Text that can not be decoded is service_kit's
UnreadableFile.
"""

from service_kit.errors import YijuError


class DocumentError(YijuError):
    """The root: raised only through its subclasses."""

    code = "document"

    @property
    def name(self) -> str:
        return type(self).__name__


class Unsupported(DocumentError):
    """The format is none of those that are read."""


class NeedsOffice(DocumentError):
    """The format is read through LibreOffice, which is missing or can not convert the file."""


class Encrypted(DocumentError):
    """The file is protected with a password."""


class HasMacros(DocumentError):
    """The file carries macros; such files are not opened."""


class Damaged(DocumentError):
    """The file is truncated or malformed."""


class TooLarge(DocumentError):
    """The file is over the size limit as it lies on disk, or unpacked."""


class NoText(DocumentError):
    """The file can be read, and holds no text."""


class TimeOut(DocumentError):
    """Reading took longer than one file may."""


class OutOfMemory(DocumentError):
    """Reading took more memory than one file may."""


class WorkerDied(DocumentError):
    """The process that read the file ended without a word: a library crashed."""

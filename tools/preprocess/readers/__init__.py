"""One file per format: bytes -> Source. They know where text stands on a page, and nothing of what it says."""

"""Set a document of the corpus in a format, with the libraries that people's own programs are built on."""

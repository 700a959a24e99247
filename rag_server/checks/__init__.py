"""How a sentence is compared with a passage: pure functions, one idea a file; `rag_server.verify` joins them."""

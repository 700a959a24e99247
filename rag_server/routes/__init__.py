"""The forms in which rag_server is asked and answers."""

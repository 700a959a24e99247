"""Models that read and do not write: `/v1/embeddings` (YIJU_EMBED_MODEL) and `/v1/rerank` (YIJU_RERANK_MODEL)."""

"""Parts for glocal: a small backbone, a re-ranking and an explainer."""

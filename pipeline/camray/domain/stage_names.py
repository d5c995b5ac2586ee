"""The names of the stages in their order; each is the name of its folder in a run too."""

STAGE_NAMES = ("generate", "ingest", "train", "explain", "localize", "score", "export")

"""The recipes, one per file: each owns the step of a training."""

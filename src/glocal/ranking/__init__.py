"""The second look: a new order of the best candidates, and evidence for it."""

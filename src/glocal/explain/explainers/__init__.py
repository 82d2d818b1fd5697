"""glocal's own explainers, one in each file; `glocal.parts.explainers` lists them."""

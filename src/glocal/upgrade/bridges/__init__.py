"""The bridges, one file each; `glocal.parts.bridges` has their rows."""

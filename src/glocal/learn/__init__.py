"""Train models of one's own: backbones, heads and objectives that fit together.

Only this package uses torch, and only its modules that build networks do: listing the parts
(`glocal.learn.registry`) costs nothing.
"""

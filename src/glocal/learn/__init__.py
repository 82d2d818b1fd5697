"""Train your own models from backbones, heads and objectives that fit together.

Only this package uses torch, and only in the modules that build networks: listing the parts
(`glocal.learn.registry`) imports none of it.
"""

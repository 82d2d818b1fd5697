"""Train your own models from backbones, heads and objectives that fit together.

Only this package uses torch, and only its modules that build networks do; which backbones, heads
and objectives there are is in `glocal.registry`.
"""

from glocal.registry import install_command

INSTALL = install_command("glocal[learn]")
"""The command that installs what this package needs."""

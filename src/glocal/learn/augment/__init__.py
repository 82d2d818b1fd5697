"""Random altered views of an image to learn from, computed on the CPU.

The same state of the random generator gives the same view. Needs Pillow, numpy and simplejpeg, but
not torch.
"""

from glocal.learn.augment.augmentation import Augmentation
from glocal.learn.augment.cutmix import cutmix

__all__ = ["Augmentation", "cutmix"]

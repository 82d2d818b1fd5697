"""Altered views of an image, to learn from: fast, on the CPU, the same for the same generator.

Pillow, numpy and simplejpeg alone; torch is not needed.
"""

from glocal.learn.augment.augmentation import Augmentation
from glocal.learn.augment.cutmix import cutmix

__all__ = ["Augmentation", "cutmix"]

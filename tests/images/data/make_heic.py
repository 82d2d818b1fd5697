"""How the HEIC files beside this were made: ``pip install pillow-heif``, then run this here.

glocal reads HEIC with pi-heif, which cannot write it; so these few are kept.
"""

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
y, x = np.mgrid[0:96, 0:128]
squares = (x // 32 + y // 32) % 2 * 200 + 20
pattern = np.stack([x * 255 // 128, y * 255 // 96, squares], axis=2).astype(np.uint8)
image = Image.fromarray(pattern)
image.save("plain.heic", quality=60)
for orientation in (5, 6):  # written as HEIF transformations, with the EXIF tag beside them
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = orientation, "Glocal", "Test Cam"
    image.save(f"orientation{orientation}.heic", quality=60, exif=exif.tobytes())

"""Image files, decoded to bytes of a given size."""

from __future__ import annotations

import struct
from pathlib import Path

from PIL import ExifTags, Image
from torch import Tensor

from archdsl.diagnostics.codes.data import DamagedPicture
from archdsl.recipe.fit import GREY
from archdsl.shapes import Shape

#: What turns an image with that EXIF orientation upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def opened(path: Path, mode: str) -> Image.Image | DamagedPicture:
    """The image in a mode (`L`, `RGB`), turned upright."""
    try:
        with Image.open(path) as file:
            return upright(file, mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return DamagedPicture(str(path), str(error))


def decode(path: Path, shape: Shape) -> Tensor | DamagedPicture:
    """The image as bytes (channels x height x width), scaled to cover that size and cropped to its centre."""
    channels, height, width = shape
    image = opened(path, "L" if channels == GREY else "RGB")
    if isinstance(image, DamagedPicture):
        return image
    from torchvision.transforms.functional import pil_to_tensor  # takes a second, and only files of images need it

    found: Tensor = pil_to_tensor(covering(image, height, width))
    return found


def upright(image: Image.Image, mode: str) -> Image.Image:
    """The image in a mode, turned by its EXIF orientation; EXIF data that cannot be read are ignored."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        turn = None
    return (image if turn is None else image.transpose(turn)).convert(mode)


def covering(image: Image.Image, height: int, width: int) -> Image.Image:
    """The image scaled to cover a size and cropped to its centre."""
    scale = max(width / image.width, height / image.height)
    size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.crop((left, top, left + width, top + height))

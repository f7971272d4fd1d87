"""Which part of a picture people mean: a box in percent, or a picture whose white is redrawn."""

import numpy as np
from jaxtyping import Bool

from racm3.document import Image
from racm3.errors import GenerationError


def box_mask(box: str, picture: Image) -> Bool[np.ndarray, "height width"]:
    """left,top,right,bottom in percent."""
    try:
        left, top, right, bottom = (float(number) / 100 for number in box.split(","))
    except ValueError as error:
        raise GenerationError(
            f"the box {box!r} is not left,top,right,bottom in percent, e.g. 50,0,100,100"
        ) from error
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise GenerationError(f"the box {box!r} is empty or leaves the picture (0 to 100 percent)")
    mask = np.zeros((picture.height, picture.width), dtype=bool)
    rows = slice(round(top * picture.height), round(bottom * picture.height))
    mask[rows, round(left * picture.width) : round(right * picture.width)] = True
    return mask


def picture_mask(shades: Image, picture: Image) -> Bool[np.ndarray, "height width"]:
    """The light part of a picture of the same size."""
    if (shades.height, shades.width) != (picture.height, picture.width):
        raise GenerationError(
            f"the mask is {shades.width}x{shades.height} but the picture is "
            f"{picture.width}x{picture.height}; make them the same size"
        )
    return shades.pixels.mean(axis=2) > 127

"""The class of one picture with onnxruntime, numpy and Pillow alone: python onnx_example.py flowers.onnx new.jpg"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def pixels(file, image_size, scale):
    picture = Image.open(file)
    picture.draft(None, (2 * image_size, 2 * image_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8
    picture = ImageOps.exif_transpose(picture)
    if picture.mode[0] in "IF":  # more than 8 bits, which Pillow would clip at 255
        values = np.asarray(picture, "float64")
        high = min(2.0**n - 1 for n in (1, 8, 10, 12, 14, 16, 20, 24, 32) if values.max() < 2**n)
        low, high = scale or (0, high)
        picture = Image.fromarray(
            (((values - low) * (255 / (high - low))).clip(0, 255) + 0.5).astype("uint8")
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))[None]  # the graph scales and crops


session = onnxruntime.InferenceSession(sys.argv[1])
metadata = session.get_modelmeta().custom_metadata_map
preparation = json.loads(metadata["preparation"])
images = pixels(sys.argv[2], preparation["image_size"], preparation["scale"])
probabilities, unfamiliar = session.run(None, {"images": images})
for name, probability in zip(json.loads(metadata["classes"]), probabilities[0], strict=True):
    print(f"{name}\t{probability:.6f}")
print("unlike all training pictures" if unfamiliar[0] else "familiar")

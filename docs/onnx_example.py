"""The class of one picture with onnxruntime, numpy and Pillow alone: python onnx_example.py flowers.onnx new.jpg"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def pixels(file, image_size):
    picture = Image.open(file)
    picture.draft(None, (2 * image_size, 2 * image_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        picture = Image.fromarray(
            ((np.asarray(picture, "int64").clip(0, 65535) + 128) // 257).astype("uint8")
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))[None]  # the graph scales and crops


session = onnxruntime.InferenceSession(sys.argv[1])
metadata = session.get_modelmeta().custom_metadata_map
images = pixels(sys.argv[2], json.loads(metadata["preparation"])["image_size"])
probabilities, unfamiliar = session.run(None, {"images": images})
for name, probability in zip(json.loads(metadata["classes"]), probabilities[0], strict=True):
    print(f"{name}\t{probability:.6f}")
print("unlike all training pictures" if unfamiliar[0] else "familiar")

"""A finished classifier for use elsewhere."""

from labutils.deploy.export import Packed, largest_gap, load_weights, pack, run_onnx, save_weights, to_onnx

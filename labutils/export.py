"""Earlier names of `labutils.deploy`: programs written before it was a room of its own import this module."""

from labutils.deploy import open_classifier as load_weights
from labutils.deploy import pack, run_onnx, to_onnx
from labutils.deploy import save_classifier as save_weights

__all__ = ["load_weights", "pack", "run_onnx", "save_weights", "to_onnx"]

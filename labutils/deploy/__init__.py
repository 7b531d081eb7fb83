"""A finished classifier for use elsewhere."""

from labutils.deploy.classifier import Classifier, pack
from labutils.deploy.files import open_classifier, save, save_classifier
from labutils.deploy.onnx import run_onnx, to_onnx

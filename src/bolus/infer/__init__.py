"""Curves to maps by a network that needs no arterial input."""

from bolus.infer.model import Model, load_model
from bolus.infer.predict import Prediction, predict
from bolus.infer.sampled import sampled

__all__ = ["Model", "Prediction", "load_model", "predict", "sampled"]

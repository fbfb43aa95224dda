"""Inverse problems and constrained sampling with diffusion models: methods, and the experiments that compare them.

Files that register a trial or an experiment import torch inside functions only; the others are ordinary modules.
"""

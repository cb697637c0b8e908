"""The way out: a network folded and frozen, written as one ONNX file, proven, described by a card, run on images."""

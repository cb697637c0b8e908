"""The fastest file of one trained network for this device: every runtime, precision and graph tried, with proof."""

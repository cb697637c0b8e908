"""The frozen description of one network: explicit, nameless, hashable; never imports torch."""

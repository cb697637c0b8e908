"""Networks built from a spec: ops, blocks, encoder, levels, context, fusions, neck, head, auxiliary heads, build.

Parts exchange ``Features``, ``{stride: Tensor (B, C, H/stride, W/stride)}``, and declare ``Channels``, ``{stride: C}``
with the same keys.
"""

"""Blocks, the smallest units of a stage: ``block(in_channels, stage, stride)``, one file per idea, named in `table`."""

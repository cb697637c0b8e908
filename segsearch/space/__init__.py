"""The tree of choices, the walk through it, the papers' points in it, the lowering to a spec; never imports torch."""

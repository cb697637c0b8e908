"""What a study tries next: the papers' points, then what a sampler proposes."""

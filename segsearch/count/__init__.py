"""What a network costs by count: parameters and multiply-adds, ours and in the conventions of papers."""

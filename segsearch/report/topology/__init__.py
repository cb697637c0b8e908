"""A network's topology as a picture, from its spec alone: levels as rows, coarse above fine, and time to the right."""

"""Data sets, drawn (`streets`), published by others, or your own (`folder`), and batches of their images and labels."""

"""Data sets: images with label maps, drawn (`streets`) or read (`camvid`, `folder`), and batches of them."""

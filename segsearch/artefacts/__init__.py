"""Any network as files that are proven: written, compared on real images, timed in a process of their own."""

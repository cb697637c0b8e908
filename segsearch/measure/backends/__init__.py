"""Software that runs a network on a device: one class in a file of its own and one row in `table.BACKENDS` each."""

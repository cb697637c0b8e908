"""What stands at the top of every generated page."""

COMMAND = "python docs/make.py"
OPENING = f"Written by `{COMMAND}`; a test keeps it as that command writes it."

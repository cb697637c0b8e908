"""segsearch: design-space search for real-time semantic segmentation.

The whole package in one line::

    point --lower--> spec --build--> network --trial--> result

A *point* is a flat dict of choices, a *spec* one explicit network, a *trial* one training and measurement, a *study*
many trials over one space within one budget. Importing this package loads neither torch nor optuna: each part is
imported where it is used. The import only turns off, by environment variables, what libraries send about their use.
"""

from segsearch.quiet import send_nothing

__version__ = "0.1.0"

send_nothing()

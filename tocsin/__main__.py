"""`python -m tocsin` is `tocsin`."""

import sys

from .cli import main

sys.exit(main())

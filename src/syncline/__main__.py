"""`python -m syncline`."""

import sys

from syncline.lab.cli import main

sys.exit(main())

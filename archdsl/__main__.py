"""`python -m archdsl`: the command line."""

import sys

from archdsl.cli import main

sys.exit(main())

"""``python -m seqloom`` is the command line."""

import sys

from seqloom.app.main import main

sys.exit(main())

"""``python -m eanet``."""

import sys

from eanet.cli import main

sys.exit(main())

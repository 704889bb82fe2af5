"""``python -m bolus`` is the ``bolus`` command."""

from bolus.cli import main

main()

"""Python runs this at the start of every process that has this folder on PYTHONPATH.

Only the command itself and Ray's workers are meant: they get the plan of faults that the environment names.
"""

import os
import sys

_MEANT = ("drugscan.cli", "default_worker.py")
if os.environ.get("DRUGSCAN_FAULTS") and any(each.endswith(_MEANT) for each in sys.orig_argv):
    from tests.faults import plan

    plan.install(os.environ["DRUGSCAN_FAULTS"])

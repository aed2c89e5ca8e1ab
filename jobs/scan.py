"""The scan as a job: `ray job submit --working-dir . -- python jobs/scan.py s3://exports --corpus s3://corpus`.

It takes the options of `drugscan scan` and runs on the cluster that runs the job.
"""

import os

from drugscan.cli import scan

if __name__ == "__main__":
    os.environ.setdefault("RAY_ADDRESS", "auto")
    scan()

r"""The scan as a job on the cluster that runs it, with the options of `drugscan scan`:

    ray job submit --working-dir . -- python jobs/scan.py s3://BUCKET/exports --corpus s3://BUCKET/corpus \
        --key-file s3://PRIVATE/pseudonym.key

The nodes need the right to read and write the buckets (a role, or AWS_* in --runtime-env-json). What .gitignore and
.rayignore name stays at home. A job that was stopped goes on where it was when it is submitted again.
"""

import os

from drugscan.cli import scan

if __name__ == "__main__":
    os.environ.setdefault("RAY_ADDRESS", "auto")
    scan()

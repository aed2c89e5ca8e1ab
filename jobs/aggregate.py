"""Tables and report as a job, with the options of `drugscan stats`; buckets are counted by all nodes.

ray job submit --working-dir . -- python jobs/aggregate.py --corpus s3://BUCKET/corpus
"""

import os

from drugscan.cli import stats

if __name__ == "__main__":
    os.environ.setdefault("RAY_ADDRESS", "auto")
    stats()

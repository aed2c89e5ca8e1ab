"""Tables and report as a job: `ray job submit --working-dir . -- python jobs/aggregate.py --corpus s3://corpus`."""

from drugscan.cli import stats

if __name__ == "__main__":
    stats()

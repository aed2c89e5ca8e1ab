"""Training as a job: `ray job submit --working-dir . -- python jobs/train.py linear FILES --out DIR`."""

from drugscan.cli import train

if __name__ == "__main__":
    train()

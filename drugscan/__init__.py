"""drugscan: find, count and map drug advertisements in Telegram messages."""

__version__ = "0.1.0"

"""drugscan: find, count and map drug advertisements in Telegram messages."""

__version__ = "0.2.0"

"""Where sealed bytes lie: the port and its adapters, none of which ever holds a key."""

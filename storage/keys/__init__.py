"""Master keys: the port that wraps case keys and its adapters, none of which ever sees an object."""

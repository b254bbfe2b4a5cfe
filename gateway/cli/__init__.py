"""The command line: what an operator, a desk and a script say to the exchange."""

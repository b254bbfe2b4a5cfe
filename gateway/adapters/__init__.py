"""What the exchange calls out to: each module here fulfils one port of ``gateway.ports`` and decides nothing."""

"""One module per DIMSE service that we perform; each turns a message into a status, and sends nothing."""

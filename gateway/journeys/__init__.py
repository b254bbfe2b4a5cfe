"""What somebody wanted done, one file per thing, named by its verb; each opens and commits its own transaction."""

"""The steps, one file each, named for the schema version that they lead to; how they are taken stands one folder up."""

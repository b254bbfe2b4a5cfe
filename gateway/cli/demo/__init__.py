"""The demo: generated people and files, and the main job walked with them over real sockets."""

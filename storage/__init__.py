"""Sealed objects: ciphertext, keys and where bytes lie, and nothing about what the bytes mean."""

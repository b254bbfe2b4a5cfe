"""Planted letters, scans and photographs of generated people, and a judge of what is left of them.

Written from what a patient's file may be (docs/spec/known-identifiers.md) and from the command line alone: nothing here
imports the code under test.
"""

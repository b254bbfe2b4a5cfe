"""The DICOM network: associations in and out, and nothing about cases, keys or files."""

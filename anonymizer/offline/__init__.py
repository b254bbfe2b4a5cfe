"""De-identifies a folder into another, without a house: two passes, in parallel, resumable; it asks nobody and keeps no key."""

from anonymizer.offline.folder import deidentify_folder
from anonymizer.offline.report import FileReport, FolderError, FolderReport, Progress

__all__ = ["FileReport", "FolderError", "FolderReport", "Progress", "deidentify_folder"]

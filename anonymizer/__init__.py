"""De-identification: pure functions from identifying content to content without, and a report; it stores nothing."""

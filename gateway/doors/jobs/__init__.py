"""The door through which owed work comes in: job rows are claimed and journeys are called, whoever rang the bell."""

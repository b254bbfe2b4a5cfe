"""Where others call us: one package per door, none of which knows another; what people want is done by the journeys."""

"""The faults that a lab can suffer: a catalogue as data, and what each means."""

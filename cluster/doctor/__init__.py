"""Examinations: what a lab needs of something that is not ours, tried out, with what each finding means for a lab."""

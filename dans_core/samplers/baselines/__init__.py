"""The samplers that DANS is compared with, one file each."""

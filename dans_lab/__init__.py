"""The lab: what one does with the method, without a screen."""

"""The app: glue between run directories and the screens in `pages/`."""

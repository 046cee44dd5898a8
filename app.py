"""The entry of the app: page config and navigation, nothing else. Start it with `streamlit run app.py`."""

from dans_app.shared import shell

shell.configure()
shell.navigate()

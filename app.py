"""The entry of the app: gate, page config and navigation, nothing else. Start it with `streamlit run app.py`."""

if __name__ == "__main__":
    from dans_app.shared import shell

    shell.configure()
    shell.navigate()
else:
    # Streamlit finds the server in this file and imports it; the file is then the script of each screen, too.
    from starlette.middleware import Middleware
    from streamlit import App

    from dans_app.server.access import Access
    from dans_app.server.gate import Gate, lifetime, refuse_open_house, share_by_environment
    from dans_app.server.headers import Headers
    from dans_app.server.signing_in import secrets

    share_by_environment()
    refuse_open_house()
    # From the outside to the inside.
    middleware = [Middleware(each) for each in (Headers, Gate, Access)]
    app = App(__file__, middleware=middleware, lifespan=lifetime, secrets=secrets())

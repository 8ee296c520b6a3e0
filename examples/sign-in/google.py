# People log in with Google. Names in lab.yaml are their addresses (ada@example.org); with one
# hosted domain, what stands before the @.
# GPULAB_AUTHENTICATOR=google GPULAB_HUB_CONFIG=<this file>
#
# Make an OAuth client (web application) in Google's console; its redirect is
# <the lab's address>/hub/oauth_callback. Put its secret into the lab's folder of secrets as
# google_client_secret, mode 0600.
import os
from pathlib import Path

c = get_config()  # given by JupyterHub

c.GoogleOAuthenticator.client_id = "the client's id"
c.GoogleOAuthenticator.client_secret = (
    Path(os.environ["GPULAB_SECRETS_DIR"]) / "google_client_secret"
).read_text().strip()  # fmt: skip
c.GoogleOAuthenticator.oauth_callback_url = (
    os.environ["GPULAB_PUBLIC_HOST"] + "/hub/oauth_callback"
)
# Only people of this domain; take it out if your people have addresses of many.
c.GoogleOAuthenticator.hosted_domain = ["example.org"]

# People log in with GitHub. Names in lab.yaml are GitHub's login names, in small letters.
# GPULAB_AUTHENTICATOR=github GPULAB_HUB_CONFIG=<this file>
#
# Make an OAuth app at GitHub (Settings, Developer settings); its callback is
# <the lab's address>/hub/oauth_callback. Put its secret into the lab's folder of secrets as
# github_client_secret, mode 0600.
import os
from pathlib import Path

c = get_config()  # given by JupyterHub

c.GitHubOAuthenticator.client_id = "the app's client id"
c.GitHubOAuthenticator.client_secret = (
    Path(os.environ["GPULAB_SECRETS_DIR"]) / "github_client_secret"
).read_text().strip()  # fmt: skip
c.GitHubOAuthenticator.oauth_callback_url = (
    os.environ["GPULAB_PUBLIC_HOST"] + "/hub/oauth_callback"
)

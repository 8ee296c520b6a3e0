# People make accounts of their own with a password; an administrator of the hub lets each in at
# /hub/authorize. Names in lab.yaml are the names that they choose.
# GPULAB_AUTHENTICATOR=native GPULAB_HUB_CONFIG=<this file>
#
# Needs the package jupyterhub-nativeauthenticator (1.3 or newer) beside the hub.
from pathlib import Path

import nativeauthenticator

c = get_config()  # given by JupyterHub

c.JupyterHub.template_paths.append(str(Path(nativeauthenticator.__file__).parent / "templates"))
c.NativeAuthenticator.open_signup = False
c.NativeAuthenticator.minimum_password_length = 12
c.NativeAuthenticator.check_common_password = True
c.NativeAuthenticator.allowed_failed_logins = 5
c.NativeAuthenticator.seconds_before_next_try = 600
# Who lets people in. Everything else in the lab needs no administrator of the hub.
c.Authenticator.admin_users = {"olga"}

"""firebase-admin for Python with a service account's key, unpatched, against a server in production mode.

Where it is, only the environment says: HTTPS_PROXY, REQUESTS_CA_BUNDLE and the key's own ``token_uri``.
"""

from __future__ import annotations

import json
import os

import firebase_admin
import requests
from firebase_admin import auth, credentials, tenant_mgt

firebase_admin.initialize_app(credentials.Certificate(os.environ["HOMEFIRE_KEY"]))
server = f"https://{os.environ['HOMEFIRE_HOST']}"

user = auth.create_user(email="ada@example.com", password="correct horse")
auth.set_custom_user_claims(user.uid, {"admin": True})
answer = requests.post(
    f"{server}/v1/accounts:signInWithCustomToken?key=any",
    json={"token": auth.create_custom_token(user.uid, {"x": 1}).decode()},
    timeout=30,
)
id_token = answer.json()["idToken"]
claims = auth.verify_id_token(id_token, check_revoked=True)
cookie = auth.create_session_cookie(id_token, 3_600)
result = {
    "claims": [claims["uid"] == user.uid, claims["admin"], claims["x"]],
    "cookie": auth.verify_session_cookie(cookie, check_revoked=True)["uid"] == user.uid,
    "link": auth.generate_password_reset_link("ada@example.com").startswith(server),
    "listed": len(list(auth.list_users().iterate_all())),
}
try:
    auth.verify_id_token(id_token[:-4] + "AAAA")
except auth.InvalidIdTokenError as error:
    result["forged"] = type(error).__name__
auth.update_user(user.uid, disabled=True)
try:
    auth.verify_id_token(id_token, check_revoked=True)
except auth.UserDisabledError as error:
    result["disabled"] = type(error).__name__
auth.delete_user(user.uid)

# The management of tenants asks for real credentials, so that it is judged here.
tenant = tenant_mgt.create_tenant("acme", allow_password_sign_up=True)
inside = tenant_mgt.auth_for_tenant(tenant.tenant_id)
other = inside.create_user(email="ada@example.com", password="correct horse")
token = inside.create_custom_token(other.uid).decode()
answer = requests.post(
    f"{server}/v1/accounts:signInWithCustomToken?key=any",
    json={"token": token, "tenantId": tenant.tenant_id},
    timeout=30,
)
claims = inside.verify_id_token(answer.json()["idToken"], check_revoked=True)
changed = tenant_mgt.update_tenant(tenant.tenant_id, display_name="acme-two")
listed = [each.tenant_id for each in tenant_mgt.list_tenants().iterate_all()]
result["tenant"] = [
    claims["firebase"]["tenant"] == other.tenant_id == tenant.tenant_id,
    changed.display_name,
    changed.allow_password_sign_up,
    listed == [tenant.tenant_id],
]
try:
    auth.get_user(other.uid)
except auth.UserNotFoundError as error:
    result["apart"] = type(error).__name__
tenant_mgt.delete_tenant(tenant.tenant_id)
print(f"RESULT {json.dumps(result)}")

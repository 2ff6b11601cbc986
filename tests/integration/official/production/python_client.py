"""google-cloud-firestore with a service-account key, over TLS, against a server in production mode."""

from __future__ import annotations

import json
import os

from google.api_core.client_options import ClientOptions
from google.cloud import firestore
from google.oauth2 import service_account

credentials = service_account.Credentials.from_service_account_file(os.environ["HOMEFIRE_KEY"])
client = firestore.Client(
    project="homefire",
    credentials=credentials,
    client_options=ClientOptions(api_endpoint=os.environ["HOMEFIRE_HOST"]),
)
client.document("closed/z").set({"n": 3})
print("RESULT", json.dumps({"python": client.document("closed/z").get().to_dict()}))

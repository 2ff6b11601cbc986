"""google-cloud-storage and firebase-admin with a service-account key, over TLS, in production mode."""

from __future__ import annotations

import datetime as dt
import json
import os
import urllib.request

import firebase_admin
from firebase_admin import credentials, storage
from google.cloud import storage as gcs

ENDPOINT = f"https://{os.environ['HOMEFIRE_HOST']}"
result: dict[str, object] = {}

client = gcs.Client.from_service_account_json(  # type: ignore[no-untyped-call]
    os.environ["HOMEFIRE_KEY"], project="homefire", client_options={"api_endpoint": ENDPOINT}
)
blob = client.bucket("homefire.appspot.com").blob("closed/python")
blob.upload_from_string("from python")
result["python"] = blob.download_as_text()
url = blob.generate_signed_url(
    version="v4", expiration=dt.timedelta(minutes=1), api_access_endpoint=ENDPOINT
)
with urllib.request.urlopen(url) as answer:
    result["signed"] = answer.read().decode()

# firebase-admin takes an endpoint by this variable alone; its credential is sent there all the same
os.environ["STORAGE_EMULATOR_HOST"] = ENDPOINT
app = firebase_admin.initialize_app(
    credentials.Certificate(os.environ["HOMEFIRE_KEY"]), {"storageBucket": "homefire.appspot.com"}
)
file = storage.bucket(app=app).blob("closed/admin")
file.upload_from_string(b"x" * 600_000)
result["admin"] = len(file.download_as_bytes())
result["names"] = [found.name for found in storage.bucket(app=app).list_blobs(prefix="closed/a")]
print("RESULT", json.dumps(result))

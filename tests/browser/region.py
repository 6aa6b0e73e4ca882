"""A federation with many municipalities, beside the demo's two: their one login service does not listen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from broker.demo.world import HOST
from tests.browser.servers import Demo

CALENDAR = "procurement-calendar"
SCREEN = "meeting-screen"
"""A service whose devices have no browser."""
DOWN = "porvoo"
"""A municipality of the region, whose login service is down."""

# Official names in Finnish and Swedish, short names in Finnish and Swedish.
_MUNICIPALITIES: Mapping[str, tuple[str, str, str, str]] = {
    "ahtari": ("Ähtärin kaupunki", "Etseri stad", "Ähtäri", "Etseri"),
    "eurajoki": ("Eurajoen kunta", "Euraåminne kommun", "Eurajoki", "Euraåminne"),
    "hameenlinna": ("Hämeenlinnan kaupunki", "Tavastehus stad", "Hämeenlinna", "Tavastehus"),
    "hanko": ("Hangon kaupunki", "Hangö stad", "Hanko", "Hangö"),
    "huittinen": ("Huittisten kaupunki", "Vittis stad", "Huittinen", "Vittis"),
    "inkoo": ("Inkoon kunta", "Ingå kommun", "Inkoo", "Ingå"),
    "kemionsaari": ("Kemiönsaaren kunta", "Kimitoöns kommun", "Kemiönsaari", "Kimitoön"),
    "kirkkonummi": ("Kirkkonummen kunta", "Kyrkslätts kommun", "Kirkkonummi", "Kyrkslätt"),
    "kokemaki": ("Kokemäen kaupunki", "Kumo stad", "Kokemäki", "Kumo"),
    "kristiinankaupunki": (
        "Kristiinankaupungin kaupunki",
        "Kristinestads stad",
        "Kristiinankaupunki",
        "Kristinestad",
    ),
    "loviisa": ("Loviisan kaupunki", "Lovisa stad", "Loviisa", "Lovisa"),
    "nakkila": ("Nakkilan kunta", "Nakkila kommun", "Nakkila", "Nakkila"),
    "narpio": ("Närpiön kaupunki", "Närpes stad", "Närpiö", "Närpes"),
    "parainen": ("Paraisten kaupunki", "Pargas stad", "Parainen", "Pargas"),
    "pietarsaari": ("Pietarsaaren kaupunki", "Jakobstads stad", "Pietarsaari", "Jakobstad"),
    "porvoo": ("Porvoon kaupunki", "Borgå stad", "Porvoo", "Borgå"),
    "raasepori": ("Raaseporin kaupunki", "Raseborgs stad", "Raasepori", "Raseborg"),
    "rauma": ("Rauman kaupunki", "Raumo stad", "Rauma", "Raumo"),
    "sakyla": ("Säkylän kunta", "Säkylä kommun", "Säkylä", "Säkylä"),
    "sipoo": ("Sipoon kunta", "Sibbo kommun", "Sipoo", "Sibbo"),
    "turku": ("Turun kaupunki", "Åbo stad", "Turku", "Åbo"),
    "vaasa": ("Vaasan kaupunki", "Vasa stad", "Vaasa", "Vasa"),
    # A long word: no row may cut it off.
    "phhyky": (
        "Päijät-Hämeen hyvinvointikuntayhtymä",
        "Päijänne-Tavastlands välfärdssamkommun",
        "Päijät-Hämeen hyvinvointikuntayhtymä",
        "Päijänne-Tavastlands välfärdssamkommun",
    ),
    "aanekoski": ("Äänekosken kaupunki", "Äänekoski stad", "Äänekoski", "Äänekoski"),
}
_DAY = date(2026, 1, 1)
COUNT = len(_MUNICIPALITIES) + 2
"""Organisations on the service's page of choice: the region's, Pori and Ulvila."""


def add_region(demo: Demo, dead_port: int) -> str:
    """The address that begins a login at the region's service. ``dead_port``: where its cities should listen."""
    callback = f"{demo.rooms.base}/callback"
    parties = ["pori", "ulvila", *_MUNICIPALITIES]
    demo.apply(
        "region.yaml",
        *(_organisation(id, *names) for id, names in _MUNICIPALITIES.items()),
        {
            "kind": "identity-provider",
            "id": "region",
            "protocol": "oidc",
            "organisations": list(_MUNICIPALITIES),
            "organisation_from": {"from": "upn"},
            "issuer": f"http://{HOST}:{dead_port}",
            "client_id": "broker",
            "client_secret": "env:ULVILA_CLIENT_SECRET",
            "dialect": "entra-oidc",
        },
        {
            "kind": "service",
            "id": CALENDAR,
            "protocol": "oidc",
            "owner": "pori",
            "name": {"fi": "Hankintakalenteri", "sv": "Upphandlingskalendern", "en": "Procurement calendar"},
            "client": {"client_id": CALENDAR, "redirect_uris": [callback], "token_endpoint_auth_method": "none"},
            "status": "production",
        },
        {
            "kind": "service",
            "id": SCREEN,
            "protocol": "oidc",
            "owner": "pori",
            "name": {"fi": "Kokousnäyttö", "sv": "Mötesskärmen", "en": "Meeting screen"},
            "client": {
                "client_id": SCREEN,
                "token_endpoint_auth_method": "none",
                "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
            },
            "status": "production",
        },
        {
            "kind": "agreement",
            "id": "region-2026",
            "name": {"fi": "Rannikon yhteistyö"},
            "parties": parties,
            "services": [CALENDAR, SCREEN],
            "valid_from": _DAY,
            "valid_until": _DAY.replace(year=2099),
            "signed": dict.fromkeys(parties, _DAY),
        },
    )
    return f"{demo.broker}/oidc/authorize?{urlencode(_request(callback))}"


def _organisation(id: str, finnish: str, swedish: str, short_finnish: str, short_swedish: str) -> dict[str, Any]:
    kinds = {"kaupunki": "City", "kunta": "Municipality", "hyvinvointikuntayhtymä": "Joint Authority"}
    kind = kinds[finnish.rpartition(" ")[2]]
    return {
        "kind": "organisation",
        "id": id,
        "name": {"fi": finnish, "sv": swedish, "en": f"{kind} of {short_finnish}"},
        "short_name": {"fi": short_finnish, "sv": short_swedish, "en": short_finnish},
        "scopes": [f"{id}.fi"],
        "contacts": [{"role": "helpdesk", "email": f"ict@{id}.example", "phone": "+358 2 000 0002"}],
    }


def _request(callback: str) -> dict[str, str]:
    return {
        "client_id": CALENDAR,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": "openid",
        "state": "of-no-concern-here",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }

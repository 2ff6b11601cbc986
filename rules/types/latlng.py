"""`rules.LatLng`: a point on the globe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rules.errors import EvaluationError

_EARTH_RADIUS_METRES = 6_371_010.0


@dataclass(frozen=True, slots=True)
class LatLng:
    """Degrees: latitude -90..90, longitude -180..180."""

    latitude: float
    longitude: float

    def __eq__(self, other: object) -> bool:
        """0.0 and -0.0 are different places here (measured on the official emulator)."""
        if not isinstance(other, LatLng):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[float, float, float, float]:
        lat, lng = self.latitude, self.longitude
        return lat, math.copysign(1, lat), lng, math.copysign(1, lng)

    def distance(self, other: LatLng) -> float:
        """Metres along the great circle (haversine, spherical earth)."""
        lat1, lat2 = math.radians(self.latitude), math.radians(other.latitude)
        half_lat = math.sin((lat2 - lat1) / 2)
        half_lng = math.sin(math.radians(other.longitude - self.longitude) / 2)
        chord = half_lat * half_lat + math.cos(lat1) * math.cos(lat2) * half_lng * half_lng
        return 2 * _EARTH_RADIUS_METRES * math.asin(min(1.0, math.sqrt(chord)))


def checked_latlng(latitude: float, longitude: float) -> LatLng:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise EvaluationError(f"Invalid latlng: ({latitude}, {longitude}).")
    return LatLng(latitude, longitude)

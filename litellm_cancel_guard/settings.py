"""The guard's settings: seconds everywhere, validated together."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """What an operator can set under ``callback_settings: cancel_guard:``. All times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="False: the guard stands aside, LiteLLM counts alone.")
    lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="How long a slot outlives its worker: a killed worker's slots are free then."
    )
    heartbeat_seconds: float = Field(
        10.0, gt=0, description="How often a worker renews the slots it holds; at most half the lease."
    )
    redis_timeout: float = Field(
        2.0, gt=0, le=60, description="How long one call to Redis may take, and so how long Redis can delay a request."
    )
    on_redis_error: Literal["local", "open"] = Field(
        "local",
        description="When Redis can't be asked: `local` enforces the cap on what this worker holds, `open` admits.",
    )

    @model_validator(mode="before")
    @classmethod
    def _beat_follows_lease(cls, given: Any) -> Any:
        if isinstance(given, dict) and "heartbeat_seconds" not in given and "lease_seconds" in given:
            try:
                return {**given, "heartbeat_seconds": float(given["lease_seconds"]) / 3}
            except (TypeError, ValueError):
                return given
        return given

    @model_validator(mode="after")
    def _beat_fits_lease(self) -> Settings:
        if self.heartbeat_seconds > self.lease_seconds / 2:
            raise ValueError(
                f"heartbeat_seconds ({self.heartbeat_seconds:g}) must be at most half of lease_seconds "
                f"({self.lease_seconds:g}): a lease has to survive one missed beat"
            )
        return self

"""What the service may do and how much: one frozen model, every field with its default and range."""

from pathlib import Path

from pydantic import Field

from supcam.core.config import StageConfig

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Limits(StageConfig):
    """Beyond these a request or a picture is refused."""

    max_file_bytes: int = Field(100_000_000, gt=0, description="Bytes of one file.")
    max_request_bytes: int = Field(500_000_000, gt=0, description="Bytes of one request.")
    max_files: int = Field(100, ge=1, le=1000, description="Files in one request.")
    max_pages: int = Field(16, ge=1, description="Pages of one file; the first one is read.")
    max_megapixels: float = Field(100.0, gt=0, le=4000, description="Size of one picture.")
    upload_s: float = Field(120.0, gt=0, description="Time for the body of one request to arrive.")
    job_s: float = Field(300.0, gt=0, description="Time for reading one picture.")
    max_attempts: int = Field(3, ge=1, le=20, description="Workers that a picture may take along.")
    queue: int = Field(1000, ge=1, description="Pictures waiting or at work; then 429.")
    worker_bytes: int = Field(6_000_000_000, gt=0, description="Address space of one worker process.")
    requests_per_s: float = Field(50.0, gt=0, description="Requests of one client, in the long run.")
    burst: int = Field(200, ge=1, description="Requests of one client at once.")
    bad_tokens_per_min: float = Field(20.0, gt=0, description="Wrong tokens from one address.")
    min_free_bytes: int = Field(200_000_000, ge=0, description="Room on the disk below which uploads stop.")


class ServiceConfig(StageConfig):
    """The whole service."""

    data: Path = Field(Path("supcam-data"), description="Folder of the pictures and of the SQLite file.")
    database: str = Field("", description="URL; blank: SQLite in the data folder.")
    model: Path | None = Field(None, description="Model folder; None: the one that came along.")
    host: str = Field("127.0.0.1", description="Address to listen at.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen at.")
    workers: int = Field(1, ge=0, le=256, description="Processes that read pictures.")
    require_token: bool = Field(False, description="Also on this machine; always true at other addresses.")
    lease_s: float = Field(
        30.0, gt=0.2, description="A worker that says nothing for so long has lost its job."
    )
    limits: Limits = Field(Limits(), description="What is refused.")

    @property
    def needs_token(self) -> bool:
        """Whether nobody gets in without a token."""
        return self.require_token or self.host not in LOOPBACK

    @property
    def database_url(self) -> str:
        """Where the rows are."""
        return self.database or f"sqlite:///{self.data.absolute() / 'supcam.sqlite'}"

    @property
    def vault(self) -> Path:
        """Where the files are."""
        return self.data / "vault"

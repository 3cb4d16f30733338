"""Where the database, its artifacts and the working folders are: the ``LIPSDB_*`` environment variables."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lipsdb.errors import BadInputError

HOME_FOLDER = ".lipsdb"


class Settings(BaseSettings):
    """Configuration of one project, read from the environment (prefix ``LIPSDB_``)."""

    model_config = SettingsConfigDict(env_prefix="LIPSDB_", frozen=True)

    mongo_uri: str | None = Field(
        None, description="MongoDB connection string; without it an embedded server is started in the project's folder."
    )
    database: str = Field("lipsdb", description="Name of the MongoDB database that holds everything.")
    artifacts: str = Field(
        "gridfs", description="Where blobs are kept: 'gridfs', 'file:///folder' or 's3://bucket/prefix'."
    )
    home: Path | None = Field(
        None, description="The project's .lipsdb folder; by default the nearest one at or above the current folder."
    )
    scratch: Path | None = Field(
        None, description="Folder for running jobs, shared by the workers of one machine; by default in `home`."
    )
    person: str | None = Field(None, description="Your name, for `lipsdb withdraw`.")
    cp2k_command: str | None = Field(
        None,
        description="Command that runs CP2K, such as 'srun cp2k.psmp' or 'mpirun -n {ranks} cp2k.psmp'; found by "
        "itself if not set.",
    )
    cp2k_max_scf: int = Field(
        200, ge=1, description="SCF steps of CP2K after which custodian tries another minimiser (not for AIMD)."
    )
    vasp_command: str | None = Field(None, description="Command that runs VASP, such as 'srun vasp_std'.")
    mtp_plugin: Path | None = Field(
        None,
        description="Plugin of LAMMPS (.so) with a pair style mtp or mlip for moment tensor potentials; without it, "
        "one that LAMMPS has itself is used, or lipsdb's kernel.",
    )

    @field_validator("database")
    @classmethod
    def _allowed_database_name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]{1,63}", value, re.ASCII):
            raise ValueError("not a database name; use 1 to 63 letters, digits, '-' and '_'")
        return value

    @field_validator("artifacts")
    @classmethod
    def _known_artifact_store(cls, value: str) -> str:
        parts = urlsplit(value)
        in_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
        if value != "gridfs" and not in_folder and not (parts.scheme == "s3" and parts.netloc):
            raise ValueError("not an artifact store; use 'gridfs', 'file:///folder' or 's3://bucket/prefix'")
        return value

    @property
    def home_folder(self) -> Path:
        """The project's ``.lipsdb`` folder (not created)."""
        if self.home is not None:
            return self.home.absolute()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / HOME_FOLDER).is_dir():
                return folder / HOME_FOLDER
        return here / HOME_FOLDER

    @property
    def scratch_folder(self) -> Path:
        """The folder in which jobs run (not created)."""
        return self.scratch.absolute() if self.scratch is not None else self.home_folder / "scratch"


@lru_cache(maxsize=8)
def _read(environment: tuple[tuple[str, str], ...]) -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"LIPSDB_{str(first['loc'][0]).upper()}"
        raise BadInputError(f"{name}={first['input']!r}: {first['msg'].removeprefix('Value error, ')}") from error


def read_settings() -> Settings:
    """Read the settings from the environment.

    Returns
    -------
    Settings
        Validated and immutable.

    Raises
    ------
    BadInputError
        If a ``LIPSDB_*`` variable has a value that is not allowed.
    """
    return _read(tuple(sorted((key, value) for key, value in os.environ.items() if key.startswith("LIPSDB_"))))

"""Properties from runs and from other properties; what a Firework calls stands here by name."""

from lipsdb.workflows.properties.dynamics import (
    measure_displacement,
    measure_displacement_map,
    measure_isotropy,
    measure_non_gaussian,
    measure_van_hove,
)
from lipsdb.workflows.properties.mechanics import ElasticityMaker, measure_lattice, strain_structure
from lipsdb.workflows.properties.of_run import RunPropertyMaker
from lipsdb.workflows.properties.order import measure_amorphisation, measure_bond_order, measure_disorder_parameter
from lipsdb.workflows.properties.regional import (
    measure_ion_paths,
    measure_region_fractions,
    measure_regional_diffusion,
)
from lipsdb.workflows.properties.scattering import measure_structure_factor
from lipsdb.workflows.properties.softness import SoftnessMaker, measure_nonaffine_displacement, measure_softness
from lipsdb.workflows.properties.space import measure_density_map, measure_profile, measure_voronoi_volumes
from lipsdb.workflows.properties.structure import (
    measure_bond_angles,
    measure_coordination,
    measure_radial_distribution,
    measure_thiophosphate_units,
)
from lipsdb.workflows.properties.topology import measure_rings
from lipsdb.workflows.properties.transport import (
    ArrheniusMaker,
    DiffusionMaker,
    fit_arrhenius_line,
    measure_diffusion,
)

__all__ = [
    "ArrheniusMaker",
    "DiffusionMaker",
    "ElasticityMaker",
    "RunPropertyMaker",
    "SoftnessMaker",
    "fit_arrhenius_line",
    "measure_amorphisation",
    "measure_bond_angles",
    "measure_bond_order",
    "measure_coordination",
    "measure_density_map",
    "measure_diffusion",
    "measure_disorder_parameter",
    "measure_displacement",
    "measure_displacement_map",
    "measure_ion_paths",
    "measure_isotropy",
    "measure_lattice",
    "measure_non_gaussian",
    "measure_nonaffine_displacement",
    "measure_profile",
    "measure_radial_distribution",
    "measure_region_fractions",
    "measure_regional_diffusion",
    "measure_rings",
    "measure_softness",
    "measure_structure_factor",
    "measure_thiophosphate_units",
    "measure_van_hove",
    "measure_voronoi_volumes",
    "strain_structure",
]

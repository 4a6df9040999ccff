"""Print results and tables on standard output."""

from tenfold.terminal.console import print_csv as print_csv
from tenfold.terminal.listings import print_caches as print_caches
from tenfold.terminal.listings import print_catalogue as print_catalogue
from tenfold.terminal.listings import print_dataset as print_dataset
from tenfold.terminal.listings import print_explored as print_explored
from tenfold.terminal.listings import print_findings as print_findings
from tenfold.terminal.listings import print_inspection as print_inspection
from tenfold.terminal.listings import print_recipes as print_recipes
from tenfold.terminal.listings import print_studies as print_studies
from tenfold.terminal.rankings import print_groups as print_groups
from tenfold.terminal.rankings import print_leaderboard as print_leaderboard
from tenfold.terminal.rankings import print_over_seeds as print_over_seeds
from tenfold.terminal.rankings import print_runs as print_runs
from tenfold.terminal.rankings import print_search as print_search
from tenfold.terminal.results import print_bench as print_bench
from tenfold.terminal.results import print_calibration as print_calibration
from tenfold.terminal.results import print_corruptions as print_corruptions
from tenfold.terminal.results import print_decisions as print_decisions
from tenfold.terminal.results import print_explanation as print_explanation
from tenfold.terminal.results import print_first_verdict as print_first_verdict
from tenfold.terminal.results import print_predictions as print_predictions
from tenfold.terminal.results import print_results as print_results

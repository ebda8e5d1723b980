"""What the pipeline keeps where, in the folder that it runs in."""

from pathlib import Path

README_PAGE = Path("README.md")
REPRODUCTION = Path("docs/reproduction.md")
VERDICT_PAGE = Path("docs/verdict.md")
CALIBRATION_PAGE = Path("docs/calibration.md")
MODELS_PAGE = Path("docs/models.md")
PARAMS = Path("params.yaml")
CALIBRATION_PARAMS = Path("stages/calibration/params.yaml")
DATA = Path("data")
RESULTS = Path("results")
MODEL = DATA / "model"
MODELS = DATA / "models"
PROMPTS = DATA / "prompts.parquet"
PAIRS = DATA / "pairs.parquet"
ACTIVATIONS = DATA / "activations"
SUBSPACES = DATA / "subspaces"
DECOMPOSITIONS = DATA / "decompositions"
SEEN = DATA / "seen.parquet"
OUTCOMES = DATA / "outcomes"
DORMANT = DATA / "dormant.parquet"
TEXTS = DATA / "text"
OWN = DATA / "own"
PUBLISHED = DATA / "published.csv"
PUBLISHED_FACTS = DATA / "published_facts.csv"
CLAIMED = DATA / "claims.csv"
FIGURES = RESULTS / "figures"
METRICS = RESULTS / "metrics.json"
CALIBRATION = RESULTS / "calibration"
CASES = CALIBRATION / "cases"
HEADLINE = RESULTS / "headline.txt"
README_TABLE = RESULTS / "readme_table.md"
CLAIMS = RESULTS / "claims.csv"
VERDICTS = RESULTS / "verdicts.csv"
REPAIRS = RESULTS / "repair"
REPAIRED = RESULTS / "repairs.csv"
ARCHITECTURES = RESULTS / "architectures.csv"
CLAIMS_ON_FACTS = RESULTS / "tasks/facts/claims.csv"
SUMMARIES = (
    *(RESULTS / name for name in ("report.html", "report.md", "comparison.csv", "findings.csv")),
    *(RESULTS / name for name in ("decompose.csv", "bars.csv")),
    VERDICTS,
    REPAIRED,
    README_TABLE,
    CLAIMS,
    HEADLINE,
    FIGURES,
)
"""What sums up a whole run, besides the metrics."""
TIMINGS = RESULTS / "timings.json"

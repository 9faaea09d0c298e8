"""The linear line of the scoring benchmark: Spark ML alone, without Python."""

from typing import Any

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import IDF, HashingTF, NGram, Normalizer, SQLTransformer
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F


def linear_pipeline() -> Pipeline:
    """Spark ML over characters: the tools that come with Spark, in their usual order."""
    letters = "SELECT *, split(substring(lower(coalesce(text, '')), 1, 256), '') AS c1 FROM __THIS__"
    every = "SELECT *, concat(c1, c2, c3) AS grams FROM __THIS__"
    return Pipeline(
        stages=[
            SQLTransformer(statement=letters),
            NGram(n=2, inputCol="c1", outputCol="c2"),
            NGram(n=3, inputCol="c1", outputCol="c3"),
            SQLTransformer(statement=every),
            HashingTF(inputCol="grams", outputCol="counts", numFeatures=1 << 20, binary=True),
            IDF(inputCol="counts", outputCol="weighed", minDocFreq=2),
            Normalizer(inputCol="weighed", outputCol="features"),
            LogisticRegression(regParam=1e-5, maxIter=60),
        ]
    )


def probability() -> Any:
    return vector_to_array(F.col("probability"))[1].cast("float")

"""Private. The same questions where the spans are: in DuckDB, Parquet, ClickHouse or Spark."""

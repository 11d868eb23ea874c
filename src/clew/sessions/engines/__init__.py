"""Private. The same questions where the spans are: in DuckDB, Parquet or ClickHouse."""

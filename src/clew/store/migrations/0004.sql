-- Which version of an evaluator said it, and how far the spans had been stored that it had seen.
ALTER TABLE evaluation ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE evaluation ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;

-- Which span brought it (its trace, itself, and where in it); NULL if it was added to the store directly.
ALTER TABLE evaluation ADD COLUMN carrier BLOB;
CREATE UNIQUE INDEX evaluation_by_carrier ON evaluation (carrier) WHERE carrier IS NOT NULL;
